"""What is not speech is taken out of transcripts, by kind; what is said stays."""

from __future__ import annotations

import pytest

from moontune.data.annotations import (
    ENTITIES,
    MARKUP,
    MUSIC,
    NON_SPEECH,
    SPEAKERS,
    TIMES,
    without_annotations,
)


@pytest.mark.parametrize(
    ("text", "spoken", "kind"),
    [
        ("[laughter] Hello there", "Hello there", NON_SPEECH),
        ("Well (inaudible) yes", "Well yes", NON_SPEECH),
        ("<unk> no {breath}", "no", NON_SPEECH),
        ("*coughs* sorry", "sorry", NON_SPEECH),
        ("[Music]", "", NON_SPEECH),
        ("SPEAKER 1: hi", "hi", SPEAKERS),
        ("SPEAKER_02: hey", "hey", SPEAKERS),
        (">> JOHN: hello", "hello", SPEAKERS),
        ("&gt;&gt; yes", "yes", SPEAKERS),
        ("\u266a la la \u266a", "la la", MUSIC),
        ("[00:12] go", "go", TIMES),
        ("00:00:01,000 --> 00:00:02,500 hi you", "hi you", TIMES),
        ("**really** good", "really good", MARKUP),
        ("<i>Stop</i> now", "Stop now", MARKUP),
        ("See [here](http://x.y)", "See here", MARKUP),
        ("# Title", "Title", MARKUP),
        ("I said (twice) no", "I said twice no", MARKUP),
        ("Tom &amp; Jerry", "Tom & Jerry", ENTITIES),
    ],
)
def test_each_kind_is_taken_out_and_counted(text: str, spoken: str, kind: str) -> None:
    [found], counts = without_annotations([text])
    assert found == spoken
    assert counts[kind] == 1


@pytest.mark.parametrize(
    "text",
    [
        "Note: this is fine",
        "GO: NOW",
        "2 * 3 * 4",
        "a_b_c",
        "it's 12:30",
        "5 < 6",
        "6 < 7 and 8 > 7",
        "R&D",
        "-5",
    ],
)
def test_what_may_be_said_stays(text: str) -> None:
    assert without_annotations([text]) == ([text], {})


def test_names_before_a_colon_are_speakers_where_that_is_a_habit() -> None:
    texts = ["JOHN: Hi you", "MARY: no", "Bob Smith: what", "Nobody"]
    found, counts = without_annotations(texts)
    assert found == ["Hi you", "no", "what", "Nobody"]
    assert counts == {SPEAKERS: 3}
