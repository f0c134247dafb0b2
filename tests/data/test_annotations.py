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
    speakers_named,
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
        ("Tom &amp;amp; Jerry", "Tom & Jerry", ENTITIES),
        ("((inaudible))", "", NON_SPEECH),
        ("[laughs [softly]] hi", "hi", NON_SPEECH),
        ("(clapping) hi (takes a breath)", "hi", NON_SPEECH),
        ("(laughs and coughs) (door slamming) (speaking Spanish) (??) hi", "hi", NON_SPEECH),
        ("<|en|> hi", "hi", NON_SPEECH),
        ("<|0.00|> hi <2.30>", "hi", TIMES),
        ("(00:12) go", "go", TIMES),
        ("(Speaker 1) hi", "hi", SPEAKERS),
        ("Hello. SPEAKER 2: yes", "Hello. yes", SPEAKERS),
        ("one<br>two <p>three</p>", "one two three", MARKUP),
        ("[H]e walk[ed] home", "He walked home", MARKUP),
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
        "if x<y and y>z",
        "if a<b and c>d",
        "R&D &copy that, AT&T &notit;",
        "cats&degrees",
        "So: here we are",
        "Voices: I hear voices",
    ],
)
def test_what_may_be_said_stays(text: str) -> None:
    assert without_annotations([text]) == ([text], {})


@pytest.mark.parametrize(
    "aside",
    [
        *("I closed the door", "my phone", "foreign policy", "no cheers", "music to my ears"),
        *("she's a laughing stock", "crystal clear", "sober", "a sight", "the musicians", "10:30"),
        *("a whistleblower", "speaking of which", "click here", "breathtaking"),
    ],
)
def test_an_aside_in_which_a_sound_is_named_stays(aside: str) -> None:
    assert without_annotations([f"So ({aside}) yes"])[0] == [f"So {aside} yes"]
    assert without_annotations([f"So *{aside}* yes"])[0] == [f"So {aside} yes"]


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("hi [laughs].", "hi."),
        ("[laughs], hi", "hi"),
        ("hi, [laughs], there", "hi, there"),
        ('"[laughs]" hi', "hi"),
        ("[Speaker 1]: hi", "hi"),
        ("[laughs] .5 of it", ".5 of it"),
    ],
)
def test_no_mark_is_left_alone(text: str, spoken: str) -> None:
    assert without_annotations([text])[0] == [spoken]


def test_ordinary_words_before_a_colon_are_said() -> None:
    texts = ["Note: it rains", "Warning: ice", "Remember: be kind", "Breakfast: eggs"]
    texts += ["My breakfast is late", *["This is a text"] * 20]
    assert without_annotations(texts) == (texts, {})


@pytest.mark.parametrize("part", ["(", "[", "<i ", "<a", "*a ", "_", "((a))", "&amp;", "A ", "'!"])
def test_a_long_text_takes_no_time_with_its_square(part: str) -> None:
    without_annotations([part * 5_000 + "]>)*:"])


def test_a_speaker_is_one_in_front_of_capitals_too() -> None:
    texts = ["Agent: GOOD MORNING TO YOU", "Customer: IT IS BROKEN"] * 3
    assert without_annotations(texts)[0] == ["GOOD MORNING TO YOU", "IT IS BROKEN"] * 3
    texts = [text.upper() for text in texts]
    assert without_annotations(texts)[0] == ["GOOD MORNING TO YOU", "IT IS BROKEN"] * 3
    texts = ["DANGER: KEEP OUT", "BREAKFAST: HAM AND EGGS", "THE TRAIN: IT IS LATE", "GO HOME"]
    assert without_annotations(texts) == (texts, {})


def test_names_before_a_colon_are_speakers_where_that_is_a_habit() -> None:
    texts = ["JOHN: Hi you", "MARY: no", "Bob Smith: what", "Nobody"]
    found, counts = without_annotations(texts)
    assert found == ["Hi you", "no", "what", "Nobody"]
    assert counts == {SPEAKERS: 3}


def test_who_speaks_once_in_a_play_in_capitals_is_somebody() -> None:
    said = ["THE SHIP IS SINKING", "WHERE IS HE", "HOLD ON", "I SEE LAND", "BRING ROPE", "GO BACK"]
    who = ["KING", "JOHN", "MARY", "JOHN", "MARY", "JOHN"]
    texts = [f"{name}: {line}" for name, line in zip(who, said, strict=True)]
    assert speakers_named(texts) == list(zip(who, said, strict=True))
