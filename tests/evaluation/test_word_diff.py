from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from moontune.evaluation.error_rates import word_edits
from moontune.evaluation.word_diff import Word, diff_transcripts

LIKELY = "the cat sat, I've twenty one 21 uh Mr. mister a. colour color $5 five dollars - ß 😀"
words = st.lists(st.sampled_from(LIKELY.split()), max_size=8).map(" ".join)


def marked(reference: str, hypothesis: str) -> list[Word]:
    return diff_transcripts(reference, hypothesis, hypothesis, style=True)[0]


@given(words, words)
def test_every_written_word_is_shown_once_and_in_order(reference: str, hypothesis: str) -> None:
    shown = [w.text for w in marked(reference, hypothesis) if w.kind != "missing"]
    assert " ".join(shown).split() == hypothesis.split()


@given(words, words)
def test_errors_are_marked_where_wer_counts_some(reference: str, hypothesis: str) -> None:
    wrong = [w for w in marked(reference, hypothesis) if w.kind not in ("same", "style")]
    edits = word_edits(reference, hypothesis)
    assert bool(wrong) == bool(edits.errors)


def test_kinds() -> None:
    found = marked("The cat sat down there.", "the cad sat a there")
    assert [(w.text, w.kind) for w in found] == [
        ("the", "style"),
        ("cad", "wrong"),
        ("sat", "same"),
        ("a", "wrong"),
        ("there", "style"),
    ]
    assert [w.said for w in found if w.kind == "wrong"] == ["cat", "down"]


def test_missing_and_extra_words_stand_where_they_belong() -> None:
    found = marked("red old boat", "red boat")
    assert [(w.text, w.kind) for w in found if w.kind == "missing"] == [("old", "missing")]
    assert [w.text for w in found] == ["red", "old", "boat"]
    assert [w.kind for w in marked("go", "uh go now")] == ["style", "same", "extra"]
    assert [w.kind for w in marked("", "you you")] == ["extra", "extra"]
    assert marked("", "") == []


def test_words_that_are_normalised_together_are_marked_together() -> None:
    assert [(w.text, w.kind) for w in marked("I have 21 coins", "I've twenty one coins")] == [
        ("I've", "style"),
        ("twenty one", "style"),
        ("coins", "same"),
    ]


def test_what_the_second_model_fixed_and_broke() -> None:
    before, after = diff_transcripts(
        "the cat sat here", "the cad sat here", "a cat sat", style=True
    )
    assert not any(w.change for w in before)
    assert [(w.text, w.change) for w in after] == [
        ("a", "broken"),
        ("cat", "fixed"),
        ("sat", ""),
        ("here", "broken"),
    ]
    _, after = diff_transcripts("a b", "a x b", "a x b y", style=True)
    assert [(w.text, w.change) for w in after] == [("a", ""), ("x", ""), ("b", ""), ("y", "broken")]


def test_without_style_only_counted_words_are_marked() -> None:
    before, _ = diff_transcripts("THE CAT", "The cat.", "", style=False)
    assert [w.kind for w in before] == ["same", "same"]
