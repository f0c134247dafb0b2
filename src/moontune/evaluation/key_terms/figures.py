"""How many of the key terms that were said both sides of a comparison write, and how surely."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from moontune.data.word_lists.key_terms import KeyTerm
from moontune.evaluation.comparison import ratio_of_sums
from moontune.evaluation.key_terms.counting import ClipTerms, TermCounts, clip_terms
from moontune.evaluation.measures import Measure, Sides
from moontune.evaluation.predictions import PredictionRow

_LISTED = 200  # terms and clips that are listed


@dataclass(frozen=True)
class TermRow:
    """One term: how often it was said, and both sides' counts."""

    term: str
    before: TermCounts
    after: TermCounts


@dataclass(frozen=True)
class MissedTerm:
    """A clip in which a term was said that the second side does not write."""

    clip: str
    term: str
    before: bool  # whether the first side writes it


@dataclass(frozen=True)
class TermFigures:
    """Key terms in the transcripts of both sides of a comparison."""

    terms: int  # of the list
    hours: float
    counts: Sides[TermCounts]
    missed: Measure  # share of the terms that were said: one minus recall
    other_rate: Measure  # errors a word, or a character, that is of no term
    by_term: tuple[TermRow, ...]  # those said or written, most often said first
    missed_clips: tuple[MissedTerm, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "terms": self.terms,
            "hours": self.hours,
            **{side: counts.to_json() for side, counts in vars(self.counts).items()},
            "missed": self.missed.to_json(),
            "other_rate": self.other_rate.to_json(),
            "by_term": [
                {"term": row.term, "before": row.before.to_json(), "after": row.after.to_json()}
                for row in self.by_term
            ],
            "missed_clips": [vars(one) for one in self.missed_clips],
        }

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> TermFigures:
        return cls(
            terms=row["terms"],
            hours=row["hours"],
            counts=Sides(*(TermCounts.from_json(row[side]) for side in ("before", "after"))),
            missed=Measure.from_json(row["missed"]),
            other_rate=Measure.from_json(row["other_rate"]),
            by_term=tuple(
                TermRow(
                    one["term"],
                    TermCounts.from_json(one["before"]),
                    TermCounts.from_json(one["after"]),
                )
                for one in row["by_term"]
            ),
            missed_clips=tuple(MissedTerm(**one) for one in row["missed_clips"]),
        )


def term_figures(
    terms: Sequence[KeyTerm],
    before: Sequence[PredictionRow],
    after: Sequence[PredictionRow],
    seed: int,
) -> TermFigures:
    """Figures of terms in predictions of the same clips."""
    of_clip = {row["id"]: row for row in after}
    one = _counted(terms, before)
    other = _counted(terms, [of_clip[row["id"]] for row in before])
    return TermFigures(
        terms=len(terms),
        hours=sum(row["duration"] for row in before) / 3600,
        counts=Sides(*(sum((c.total for c in side), TermCounts()) for side in (one, other))),
        missed=ratio_of_sums(
            before, _missed_each(one), _missed_each(other), [c.total.said for c in one], seed
        ),
        other_rate=ratio_of_sums(
            before, _others_each(one), _others_each(other), [c.other_words for c in one], seed
        ),
        by_term=_by_term(one, other),
        missed_clips=tuple(_missed(before, one, other))[:_LISTED],
    )


def _counted(terms: Sequence[KeyTerm], rows: Sequence[PredictionRow]) -> list[ClipTerms]:
    return [
        clip_terms(terms, row["normalized_reference"], row["normalized_hypothesis"]) for row in rows
    ]


def _missed_each(clips: Sequence[ClipTerms]) -> list[int]:
    return [clip.total.said - clip.total.found for clip in clips]


def _others_each(clips: Sequence[ClipTerms]) -> list[int]:
    return [clip.other_errors for clip in clips]


def _by_term(before: Sequence[ClipTerms], after: Sequence[ClipTerms]) -> tuple[TermRow, ...]:
    sums: tuple[dict[str, TermCounts], ...] = ({}, {})
    for side, clips in zip(sums, (before, after), strict=True):
        for clip in clips:
            for term, counts in clip.terms.items():
                side[term] = side.get(term, TermCounts()) + counts
    one, other = sums
    said = {term: counts.said for side in sums for term, counts in side.items() if counts.said}
    rows = [
        TermRow(
            term,
            one.get(term, TermCounts(said.get(term, 0))),
            other.get(term, TermCounts(said.get(term, 0))),
        )
        for term in {**one, **other}
    ]
    return tuple(sorted(rows, key=lambda row: (-row.before.said, row.term))[:_LISTED])


def _missed(
    rows: Sequence[PredictionRow], before: Sequence[ClipTerms], after: Sequence[ClipTerms]
) -> Iterator[MissedTerm]:
    for row, one, other in zip(rows, before, after, strict=True):
        for term, counts in other.terms.items():
            if counts.found < counts.said:
                had = one.terms.get(term, TermCounts())
                yield MissedTerm(row["id"], term, had.found > counts.found)
