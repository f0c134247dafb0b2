"""Rare words: how many of the words that training had never, or hardly ever, are written.

Counted are content words of the references: normalised, they begin with a letter and are none of
English's commonest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moontune.data.normalizer import normalize
from moontune.evaluation.comparison import ratio_of_sums
from moontune.evaluation.error_rates import words_heard
from moontune.evaluation.measures import Measure, Sides
from moontune.evaluation.predictions import PredictionRow
from moontune.languages.content_words import is_content_word

SELDOM = 2  # times in training at most


@dataclass(frozen=True)
class RareGroup:
    """Words of the test clips that training had so seldom."""

    words: int  # different ones
    said: int
    written: Sides[int]  # of those said
    missed: Measure  # share of those said that is not

    def to_json(self) -> dict[str, Any]:
        both = {"written": vars(self.written), "missed": self.missed.to_json()}
        return {"words": self.words, "said": self.said, **both}

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> RareGroup:
        missed = Measure.from_json(row["missed"])
        return cls(row["words"], row["said"], Sides(**row["written"]), missed)


@dataclass(frozen=True)
class RareWords:
    """Words that training never had, and those it had at most twice, those among them."""

    never: RareGroup
    seldom: RareGroup

    def to_json(self) -> dict[str, Any]:
        return {name: group.to_json() for name, group in vars(self).items()}

    @classmethod
    def from_json(cls, row: dict[str, Any] | None) -> RareWords | None:
        """None of a run that is older than that."""
        if row is None:
            return None
        return cls(*(RareGroup.from_json(row[name]) for name in ("never", "seldom")))


@dataclass(frozen=True)
class ComparedClips:
    """Predictions of both models on test clips, and how often its training had each word."""

    before: Sequence[PredictionRow]
    after: Sequence[PredictionRow]  # of the same clips
    training: Mapping[str, int]


def words_in(texts: Iterable[str]) -> Counter[str]:
    """How often each normalised word is in texts."""
    return Counter(word for text in texts for word in normalize(text).split())


def rare_words(parts: Sequence[ComparedClips], seed: int) -> RareWords:
    """Of a run, or of all folds, each clip by what its own training had."""
    return RareWords(_group(parts, 0, seed), _group(parts, SELDOM, seed))


def _group(parts: Sequence[ComparedClips], most: int, seed: int) -> RareGroup:
    rows = [row for part in parts for row in part.before]
    known: set[str] = set()
    said: list[int] = []
    written: tuple[list[int], list[int]] = ([], [])
    for part in parts:
        of_clip = {row["id"]: row for row in part.after}
        for row in part.before:
            reference = row["normalized_reference"].split()
            rare = [
                i
                for i, word in enumerate(reference)
                if is_content_word(word) and part.training.get(word, 0) <= most
            ]
            known |= {reference[i] for i in rare}
            said.append(len(rare))
            for side, one in zip(written, (row, of_clip[row["id"]]), strict=True):
                heard = words_heard(reference, one["normalized_hypothesis"].split())
                side.append(sum(heard[i] for i in rare))
    one, other = ([n - k for n, k in zip(said, side, strict=True)] for side in written)
    return RareGroup(
        len(known),
        sum(said),
        Sides(*map(sum, written)),
        ratio_of_sums(rows, one, other, said, seed),
    )
