"""Key terms of a run, or of all folds: what the tuning brings, and apart from it what writing the
list brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moontune.data.normalizer import normalize
from moontune.data.word_lists.key_terms import KeyTerm
from moontune.evaluation.key_terms.bonus import ChosenBonus
from moontune.evaluation.key_terms.figures import TermFigures, term_figures
from moontune.evaluation.measures import Sides
from moontune.evaluation.predictions import PredictionRow


@dataclass(frozen=True)
class WrittenTerms:
    """What a model makes of the list: its bonus, and the test transcripts that the list changes."""

    chosen: ChosenBonus
    texts: dict[str, str]  # by clip
    list_sha256: str  # of the file of terms

    def to_json(self) -> dict[str, Any]:
        return vars(self) | {"chosen": self.chosen.to_json()}

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> WrittenTerms:
        return cls(ChosenBonus.from_json(row["chosen"]), row["texts"], row["list_sha256"])


@dataclass(frozen=True)
class KeyTermResults:
    """Figures of a list; sides are the base and the tuned model."""

    tuning: TermFigures  # of both, the list not written
    writing: Sides[TermFigures]  # of either, without the list written and with it
    chosen: Sides[tuple[ChosenBonus, ...]]  # of each fold, or the run's own alone

    @property
    def is_written(self) -> bool:
        """Whether any model writes the list."""
        return any(one.bonus is not None for side in vars(self.chosen).values() for one in side)

    @property
    def tells_nothing(self) -> bool:
        """Whether no term was said, and none is written by anybody."""
        figures = (self.tuning, self.writing.before, self.writing.after)
        return not any(c.said or c.written for one in figures for c in vars(one.counts).values())

    def to_json(self) -> dict[str, Any]:
        return {
            "tuning": self.tuning.to_json(),
            "writing": {side: found.to_json() for side, found in vars(self.writing).items()},
            "bonus": {
                side: [one.to_json() for one in found] for side, found in vars(self.chosen).items()
            },
        }

    @classmethod
    def from_json(cls, row: dict[str, Any] | None) -> KeyTermResults | None:
        """None of a run without a list."""
        if row is None:
            return None
        sides = ("before", "after")
        return cls(
            TermFigures.from_json(row["tuning"]),
            Sides(*(TermFigures.from_json(row["writing"][side]) for side in sides)),
            Sides(*(tuple(map(ChosenBonus.from_json, row["bonus"][side])) for side in sides)),
        )


def key_term_results(
    terms: Sequence[KeyTerm],
    predictions: Sides[list[PredictionRow]],
    written: Sides[dict[str, str]],
    chosen: Sides[tuple[ChosenBonus, ...]],
    seed: int,
) -> KeyTermResults:
    """Figures of predictions of the same clips, and of the transcripts `written` in place of them
    with the list, by clip."""
    return KeyTermResults(
        term_figures(terms, predictions.before, predictions.after, seed),
        Sides(
            *(
                term_figures(terms, rows, with_texts(rows, texts), seed)
                for rows, texts in (
                    (predictions.before, written.before),
                    (predictions.after, written.after),
                )
            )
        ),
        chosen,
    )


def with_texts(rows: Sequence[PredictionRow], texts: Mapping[str, str]) -> list[PredictionRow]:
    """Rows with other transcripts, by clip; only their texts are so, no edits or losses."""
    found: list[PredictionRow] = []
    for row in rows:
        text = texts.get(row["id"])
        if text is not None:
            row = row.copy()
            row["hypothesis"], row["normalized_hypothesis"] = text, normalize(text)
        found.append(row)
    return found
