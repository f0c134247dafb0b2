"""The order in which drafts are corrected."""

from __future__ import annotations

import random

import pytest

from moontune.data.manifest import Utterance
from moontune.transcribe.need import Draft, Transcribed, ranked


def draft(text: str, sure: float, seconds: float = 3.0, speaker: str | None = None) -> Draft:
    return Draft(text, [sure] * len(text.split()), seconds, speaker)


def order(drafts: list[Draft], known: Transcribed | None = None) -> list[int]:
    return [i for i, _ in ranked(drafts, known or Transcribed())]


def test_the_least_sure_come_first() -> None:
    words = "the same old words"
    drafts = [draft(words, sure) for sure in (0.9, 0.3, 0.99, 0.6)]
    assert order(drafts, Transcribed(set(words.split()))) == [1, 3, 0, 2]


def test_the_same_doubt_in_less_time_comes_first() -> None:
    drafts = [draft("one two three", 0.5, seconds) for seconds in (9.0, 2.0, 5.0)]
    assert order(drafts) == [1, 2, 0]


def test_words_that_are_not_transcribed_yet_come_first_and_count_once() -> None:
    drafts = [draft(text, 0.9) for text in ("the ship sails", "a Zygote divides", "a zygote, sir")]
    known = Transcribed({"the", "ship", "sails", "a", "divides", "sir"})
    assert order(drafts, known) == [1, 0, 2]
    ((_, first), (_, second), (_, third)) = ranked(
        drafts, Transcribed({"the", "ship", "sails", "a", "divides", "sir"})
    )
    assert first > second == pytest.approx(third)  # zygote was met in the first


def test_a_speaker_who_has_minutes_gives_way_to_one_who_has_none() -> None:
    clip = Utterance("a", None, "hello there", 600.0, "anna")  # type: ignore[arg-type]
    drafts = [draft("some words here", 0.5, speaker="anna"), draft("some words here", 0.7)]
    drafts[1] = draft("some words here", 0.7, speaker="ben")
    assert order(drafts) == [0, 1]
    assert order(drafts, Transcribed.of([clip])) == [1, 0]


def test_speakers_take_turns() -> None:
    drafts = [draft("uh", 0.5, 60.0, "anna") for _ in range(8)]
    drafts += [draft("uh", 0.5, 60.0, "ben") for _ in range(8)]
    first = [drafts[i].speaker for i in order(drafts)[:8]]
    assert first.count("anna") == first.count("ben") == 4


def test_it_is_the_greedy_choice() -> None:
    """The heaps choose what trying every draft in every round chooses."""
    rng = random.Random(1)
    vocabulary = [f"word{i}" for i in range(40)]
    drafts = []
    for _ in range(60):
        said = rng.choices(vocabulary, k=rng.randint(1, 8))
        sure = [rng.random() for _ in said]
        speaker = rng.choice(["anna", "ben", None])
        drafts.append(Draft(" ".join(said), sure, rng.uniform(1, 10), speaker))
    words: set[str] = set()
    seconds = {"anna": 0.0, "ben": 0.0}
    left, expected = set(range(60)), []

    def worth(i: int) -> float:
        d = drafts[i]
        new = {w: 0.0 for w in d.text.split() if w not in words}
        for w, sure in zip(d.text.split(), d.confidences, strict=True):
            if w in new:
                new[w] = max(new[w], sure)
        wrong = sum(1 - sure for sure in d.confidences)
        spoken = 0.0 if d.speaker is None else seconds[d.speaker]
        return (wrong + 0.5 * sum(new.values())) / (d.seconds + 2) / (1 + spoken / 300)

    while left:
        best = max(left, key=worth)
        expected.append(best)
        left.remove(best)
        words.update(drafts[best].text.split())
        if drafts[best].speaker is not None:
            seconds[str(drafts[best].speaker)] += drafts[best].seconds
    assert order(drafts) == expected
