"""Real text of the six languages that the vendor has models for, through what counts and writes."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sample_page import row
from spoken import SPOKEN

from moontune.data.base_style import WritingHabits, in_base_style
from moontune.data.labels import make_labels
from moontune.data.manifest import Utterance
from moontune.data.normalizer import normalize, normalizer_name, visible_text
from moontune.data.truecasing import ends_sentence, restore_style
from moontune.errors import UserError
from moontune.evaluation.comparison import compare
from moontune.evaluation.degeneration import degenerated
from moontune.evaluation.error_rates import character_edits, corpus_cer, corpus_wer, word_edits
from moontune.evaluation.measures import Comparison
from moontune.evaluation.typography import reference_in_style_of, retention
from moontune.evaluation.word_diff import diff_transcripts, to_read
from moontune.languages.table import Language, current, language_named, speaking
from moontune.languages.words import joined_words, written_words
from moontune.models.confidence.agreement import evidence
from moontune.models.consensus import consensus
from moontune.models.decoding import Transcript, repeats

MARKS = ".,!?\u060c\u061f\u3001\u3002\uff0c\uff1f\uff01"


@pytest.fixture(params=SPOKEN)
def code(request: pytest.FixtureRequest) -> Iterator[str]:
    with speaking(Language(request.param)):
        yield request.param


@pytest.fixture
def japanese() -> Iterator[None]:
    with speaking(Language("ja")):
        yield


def bare(text: str) -> str:
    """As people type it without care: no punctuation, small letters."""
    return "".join(c for c in text if c not in MARKS).lower()


def test_the_table_says_how_each_is_written() -> None:
    facts = {
        c: (s.tokens_per_second, s.rate, s.spaced, s.cased)
        for c in ("en", "es", "vi", "uk", "ar", "ko", "ja", "zh")
        if (s := language_named(c))
    }
    assert facts == {
        "en": (6.5, "wer", True, True),
        "es": (6.5, "wer", True, True),
        "vi": (13.0, "wer", True, True),
        "uk": (13.0, "wer", True, True),
        "ar": (13.0, "wer", True, False),
        "ko": (13.0, "wer", True, False),
        "ja": (13.0, "cer", False, False),
        "zh": (13.0, "cer", False, False),
    }
    assert language_named("hi").tokens_per_second == 13.0
    with pytest.raises(UserError, match=r"--language xx: .* such as en \(English\), ar \(Arabic\)"):
        language_named("xx")


def test_a_language_holds_within_its_block() -> None:
    def fails() -> None:
        with speaking(Language("ja")):
            assert current().code == "ja"
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert current().code == "en"


def test_what_the_normaliser_does_stands_in_its_name(code: str) -> None:
    name = normalizer_name()
    assert "whisper_normalizer.basic.BasicTextNormalizer 0." in name
    assert f"for {current().name}: NFKC, marks kept" in name
    assert ("characters without spaces" in name) == (code in ("ja", "zh"))


def test_no_letter_is_lost_and_no_mark_of_one_whatever_the_form(code: str) -> None:
    for text in SPOKEN[code]:
        said = normalize(text)
        assert said == normalize(unicodedata.normalize("NFD", text))
        assert said == normalize(bare(text))
        letters = [c for c in unicodedata.normalize("NFC", text) if c.isalnum()]
        counted = [c for c in said if c.isalnum()]
        # Arabic writes its vowels above the letters, and alef in four forms.
        assert len(counted) == len(letters) + text.count("\u2019")
        if code != "ar":
            assert [c.lower() for c in letters] == [c for c in counted if c != "\u02bc"]
        assert visible_text(unicodedata.normalize("NFD", text)) == visible_text(text)


def test_arabic_is_counted_without_vowels_and_forms_of_alef() -> None:
    with speaking(Language("ar")):
        assert normalize("الطَّقْسُ جَمِيلٌ، إلى الحديقـــة؟") == normalize("الطقس جميل الي الحديقة")
        assert normalize("٢٣ كتابًا") == "23 كتابا"
        assert normalize("المدرسة") != normalize("المدرسه")  # another letter stays another one


def test_a_word_of_ukrainian_with_an_apostrophe_is_one() -> None:
    with speaking(Language("uk")):
        assert len(normalize("п’ять хвилин").split()) == 2
        assert normalize("п'ять") == normalize("п’ять")
        assert normalize("пять") != normalize("п’ять")


def test_figures_by_hand() -> None:
    with speaking(Language("ja")):
        one = word_edits("今日は天気がいい。", "昨日は天気がいいね")
        assert (one.substitutions, one.insertions, one.deletions, one.words) == (1, 1, 0, 8)
        assert corpus_wer([one]) == 2 / 8
        assert corpus_cer([character_edits("今日は 天気がいい。", "昨日は天気がいいね")]) == 2 / 8
        assert word_edits("３本 ＡＢＣ", "3本abc").errors == 0
    with speaking(Language("ko")):
        one = word_edits("공원까지 걸어갈 거예요", "공원까지 걸어갈거예요")
        assert (one.errors, one.words) == (2, 3)
        letters = character_edits("공원까지 걸어갈 거예요", "공원까지 걸어갈거예요")
        assert (letters.errors, letters.characters) == (0, 10)
    with speaking(Language("vi")):
        assert word_edits("Tôi ăn bánh mì.", "tôi an bánh mì").errors == 1
    with speaking(Language("ar")):
        assert word_edits("سنمشي إلى الحديقة", "سنمشي الى المدينة").errors == 1


def compared(before: list[str], after: list[str], said: tuple[str, ...]) -> Comparison:
    one, other = (
        [row(str(i), s, h, f"s{i % 6}") for i, (s, h) in enumerate(zip(said, texts, strict=True))]
        for texts in (before, after)
    )
    return compare(one, other, 42)


def test_the_error_rate_that_leads_is_by_words_or_by_characters(code: str) -> None:
    said = SPOKEN[code]
    found = compared([text[: len(text) // 2] for text in said], list(said), said)
    words = code not in ("ja", "zh")
    assert found.rate == ("wer" if words else "cer")
    assert ("wer" in found.measures) == words
    assert found.error_rate.after == 0
    assert found.says.startswith("WER is better" if words else "CER is better")
    assert found.unit == ("word" if words else "character")
    again = Comparison.from_json(found.to_json())
    assert again.error_rate == found.error_rate
    assert again.rate == found.rate
    if not words:
        assert found.words == sum(sum(c.isalnum() for c in text) for text in said)


def test_labels_are_written_as_the_base_writes_and_say_the_same(code: str) -> None:
    """A careless reference takes the base's marks, and none of English ones."""
    said = [bare(text) for text in SPOKEN[code]]
    written = dict(enumerate(SPOKEN[code]))
    train = [Utterance(str(i), Path("a.wav"), text, 2.0, "s") for i, text in enumerate(said)]
    labels = make_labels(
        {"train": train, "val": [], "test": []},
        "auto",
        lambda us: {u.id: written[int(u.id)] for u in us},
    )
    for u, text in zip(labels.utterances["train"], SPOKEN[code], strict=True):
        assert u.target is not None
        assert normalize(u.target) == normalize(text)
        assert visible_text(u.target) == visible_text(text)


def test_what_the_base_misheard_gets_no_english_full_stop(japanese: None) -> None:
    assert restore_style("駅はどこですか", "") == "駅はどこですか。"
    assert restore_style("駅はどこですか", "今日はいい天気。") == "駅はどこですか。"
    habits = WritingHabits.of([("駅はどこですか", "駅は、どこですか？")])
    assert in_base_style("「駅」はどこ、ですか", "", {}, habits) == "駅はどこ、ですか。"
    text = in_base_style("ジョン・スミスさんはiPhoneを3台買った", "", {}, habits)
    assert text == "ジョン・スミスさんはiPhoneを3台買った。"
    assert ends_sentence("ですか？」")


def test_a_reference_in_the_style_of_a_transcript_changes_no_word(code: str) -> None:
    for text in SPOKEN[code]:
        assert normalize(reference_in_style_of(bare(text), text)) == normalize(text)
        assert visible_text(reference_in_style_of(bare(text), text)) == visible_text(text)
    kept = retention(SPOKEN[code], SPOKEN[code])
    assert kept.before.punctuation == 1.0
    assert kept.same_punctuation == 1.0


@example("1「… 1")
@given(st.text("今日はabc 12.,、。「」ー・!?…がか\u3099\n", max_size=30))
def test_characters_are_words_that_join_to_the_same(text: str) -> None:
    with speaking(Language("ja")):
        words = written_words(text)
        assert written_words(joined_words(words)) == words
        assert "".join(joined_words(words).split()) == "".join(text.split())
        assert not any(c.isspace() for word in words for c in word)


def test_each_character_carries_a_confidence_of_its_own(japanese: None) -> None:
    right, wrong = "今日はいい天気です。", "今日は悪い天気です。"
    written = [(Transcript(t, [1, 2], False), -3.0) for t in (right, right, wrong)]
    found = evidence(right, written)
    assert len(found) == len(written_words(right)) == 9
    assert [round(e.agreement, 3) for e in found] == [1, 1, 1, 0.667, 1, 1, 1, 1, 1]


def test_the_consensus_is_by_characters_where_there_are_no_words(japanese: None) -> None:
    texts = ["今日は寒いです", "京は暑いでした", "今日は暑いです", "今日は暑いですね"]
    assert consensus(texts, [-1.0] * 4) == 2


def test_a_loop_without_spaces_is_one(code: str) -> None:
    gap = " " if current().spaced else ""
    word = written_words(SPOKEN[code][0])[0] if current().spaced else "ありがとう"
    assert repeats(gap.join([word] * 12))
    for text in SPOKEN[code]:
        assert not repeats(text)
    looped = [Transcript(gap.join([word] * 12), [], True)] * 8
    assert degenerated([Transcript(t, [], False) for t in SPOKEN[code]], looped)


def test_differences_are_marked_in_what_is_read_and_not_apart(japanese: None) -> None:
    before, after = diff_transcripts(
        "今日は天気がいい。", "昨日は元気がいい。", "今日は天気がいい", style=True
    )
    assert [(w.text, w.kind) for w in to_read(before)] == [
        ("昨", "wrong"),
        ("日は", "same"),
        ("元", "wrong"),
        ("気がいい。", "same"),
    ]
    assert [w.text for w in to_read(after) if w.change == "fixed"] == ["今", "天"]
