"""A model that stopped writing speech is told from one that changed a clip or two."""

from __future__ import annotations

import pytest
from builders import SENTENCES

from moontune.evaluation.degeneration import degenerated
from moontune.models.decoding import Transcript, repeats


def written(count: int, *others: Transcript) -> list[Transcript]:
    """`count` transcripts, the last of them replaced by `others`."""
    good = [Transcript(f"{SENTENCES[i % 8]} {i}.", [5, 2], False) for i in range(count)]
    return [*good[: count - len(others)], *others]


EMPTY = Transcript("", [2], False)
POINT = Transcript(" . ", [9, 2], False)
CUT = Transcript("and so on and on", [5, 6], True)
LOOP = Transcript("the boat the boat the boat the boat the boat", [5, 2], False)


@pytest.mark.parametrize("lost", [EMPTY, POINT, CUT, LOOP])
def test_many_lost_transcripts_are_a_collapse(lost) -> None:
    assert degenerated(written(60), written(60, *[lost] * 6))
    assert degenerated(written(60), [lost] * 60)
    assert degenerated(written(2), [lost] * 2)  # all of the few that there are


def test_what_the_base_loses_too_is_none() -> None:
    """The base leaves short clips empty and loops now and then; so may the tuned model."""
    lost = [EMPTY, EMPTY, EMPTY, LOOP, CUT]
    assert degenerated(written(60, *lost), written(60, *lost)) is None
    assert degenerated(written(60, *lost), written(60, *lost, *[EMPTY] * 5)) is None
    assert degenerated(written(60, *lost), written(60, *lost, *[EMPTY] * 6)) is not None
    assert degenerated([LOOP] * 60, [EMPTY] * 60) is None  # no worse than what it began with


def test_a_clip_or_two_of_few_are_none() -> None:
    assert degenerated(written(8), written(8, EMPTY, CUT)) is None
    assert degenerated(written(8), written(8, EMPTY, CUT, LOOP)) is not None
    assert degenerated([], []) is None


def test_the_sentence_counts() -> None:
    base, tuned = written(40, EMPTY, CUT), written(40, *[EMPTY] * 9, CUT, LOOP)
    assert degenerated(base, tuned) == (
        "of 40 transcripts 9 are empty and 2 loop or never end; of the base's 1 and 1"
    )


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry. I'm sorry. I'm sorry. I'm sorry. I'm sorry.",
        "Ah, ah, ah, ah, ah, ah, ah, ah, ah, ah, ah",
        "hahahahahahahahahaha",
        "He said that they they they they they they they they they",
        "...........",
    ],
)
def test_repeats(text) -> None:
    assert repeats(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "No.",
        "No, no, no!",
        "It was the best of times, it was the worst of times, it was the age of wisdom",
        "We had everything before us, we had nothing before us.",
        "Very, very, very, very good, and then he went to the old town by the sea.",
    ],
)
def test_speech_that_repeats_itself_is_no_loop(text) -> None:
    assert not repeats(text)
