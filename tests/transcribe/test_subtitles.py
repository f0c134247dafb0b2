from __future__ import annotations

import html
import re

from hypothesis import given
from hypothesis import strategies as st

from moontune.models.decoding import TimedWord
from moontune.transcribe.subtitles import LINE, TimedText, cues, srt, vtt

words = st.lists(st.text("abcdefgh,.?!&<>-", min_size=1, max_size=12), min_size=1, max_size=80)
spans = st.lists(st.floats(0.01, 9), min_size=2, max_size=8)


def timed_texts(texts: list[list[str]], edges: list[float]) -> list[TimedText]:
    """Every text over spans of speech with pauses between, one text after the other."""
    at, made = 0.0, []
    for text in texts:
        speech = []
        for length in edges:
            speech.append((at, at + length))
            at += length + 0.5
        made.append(TimedText(" ".join(text), speech))
    return made


def ms(clock: str) -> int:
    hours, minutes, seconds, thousandths = map(int, re.split("[:,.]", clock))
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + thousandths


@given(st.lists(words, min_size=1, max_size=4), spans)
def test_subtitles_parse_back_in_order_with_every_word(texts, edges) -> None:
    given_ = timed_texts(texts, edges)
    made = cues(given_)
    for form, point in ((srt(made), ","), (vtt(made), ".")):
        times = re.findall(rf"^(\d\d:\d\d:\d\d\{point}\d{{3}}) --> (\S+)$", form, re.MULTILINE)
        assert len(times) == len(made)
        flat = [ms(t) for pair in times for t in pair]
        assert flat == sorted(flat)
        assert flat[0] == round(1000 * given_[0].speech_s[0][0])
        blocks = form.removeprefix("WEBVTT\n\n").strip("\n").split("\n\n")
        assert len(blocks) == len(made)
    said = " ".join(line for cue in made for line in cue.lines).split()
    assert said == [word for text in texts for word in text]
    assert all(len(cue.lines) <= 2 and max(map(len, cue.lines)) <= LINE for cue in made)


def test_formats_to_the_letter() -> None:
    made = cues([TimedText("Salt & <pepper> --> here.", [(3661.5, 3664.0)])])
    assert srt(made) == "1\n01:01:01,500 --> 01:01:04,000\nSalt & ‹pepper› --› here.\n"
    text = "WEBVTT\n\n01:01:01.500 --> 01:01:04.000\nSalt &amp; &lt;pepper&gt; --&gt; here.\n"
    assert vtt(made) == text
    assert html.unescape(vtt(made)).endswith("--> here.\n")
    assert (srt([]), vtt([])) == ("", "WEBVTT\n")
    assert cues([TimedText("", [(0, 1)])]) == []


def test_time_goes_by_characters_over_the_time_that_somebody_speaks() -> None:
    sentence = "This sentence has sixty characters, all of them counted now."
    found = cues([TimedText(f"{sentence} {sentence}", [(1.0, 3.0), (10.0, 12.0)])])
    assert [(c.start_ms, c.end_ms) for c in found] == [(1000, 3000), (10000, 12000)]
    assert [" ".join(c.lines) for c in found] == [sentence, sentence]
    assert all(len(c.lines) == 2 for c in found)


def test_a_sentence_that_a_pause_follows_ends_its_subtitle() -> None:
    said = [("I", 0.0, 0.2), ("go.", 0.2, 0.6), ("Oh,", 3.6, 3.9), ("yeah.", 4.0, 4.4)]
    said += [("Right.", 4.5, 4.9)]
    found = cues([TimedText("I go. Oh, yeah. Right.", [(0, 5)], [TimedWord(*w) for w in said])])
    assert [(c.start_ms, c.end_ms, *c.lines) for c in found] == [
        (0, 1000, "I go."),
        (3600, 4900, "Oh, yeah. Right."),
    ]


def test_no_subtitle_stays_for_more_than_seven_seconds() -> None:
    said = [TimedWord(f"w{i}", 1.0 * i, 1.0 * i + (0.5 if i == 4 else 0.9)) for i in range(9)]
    text = " ".join(word.text for word in said)
    found = cues([TimedText(text, [(0, 9)], said)])
    assert [c.lines[0] for c in found] == ["w0 w1 w2 w3 w4", "w5 w6 w7 w8"]
    for made in (cues([TimedText(text, [(0, 20)])]), cues([TimedText("Hm.", [(0, 20)])])):
        assert all(c.end_ms - c.start_ms <= 7000 for c in made)


def test_a_short_word_can_be_read_unless_the_next_comes() -> None:
    alone = cues([TimedText("Yes.", [(1.0, 1.2)])])
    assert (alone[0].start_ms, alone[0].end_ms) == (1000, 2000)
    followed = cues([TimedText("Yes.", [(1.0, 1.2)]), TimedText("No.", [(1.5, 2.9)])])
    assert followed[0].end_ms == followed[1].start_ms == 1500
