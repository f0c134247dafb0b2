"""train.json: what a training did and what it was, for the verdict, the reports and the card."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from moontune.system.formatting import percent


@dataclass(frozen=True)
class TrainingFigures:
    """The figures by which trainings are set side by side; of a cross-validation their means."""

    steps: float  # optimizer steps tried, skipped ones included
    best_step: float  # 0: no step was better than the base
    first_val_loss: float | None  # of the base; None: nothing was validated
    best_val_loss: float | None  # of the adapter that was saved
    seconds: float

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> TrainingFigures:
        names = ("steps", "best_step", "first_val_loss", "best_val_loss", "seconds")
        return cls(**{name: row[name] for name in names})


@dataclass(frozen=True)
class ReversedClips:
    """Clips trained on backwards too, against forgetting."""

    clips: int = 0
    empty: int = 0  # for which the base writes nothing


@dataclass(frozen=True)
class WordErrorUpdates:
    """The updates on word errors after the usual ones."""

    steps: int
    kept: bool
    expected_before: float | None  # errors a reference word of validation; None: none held out
    expected_after: float | None  # of what is kept

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> WordErrorUpdates:
        return cls(row["steps"], row["best_step"] > 0, row["first_val_loss"], row["best_val_loss"])

    def __str__(self) -> str:
        text = f"{self.steps} updates on word errors"
        if not self.kept:
            return f"{text}, not kept"
        if self.expected_before is None:
            return text
        change = f"{percent(self.expected_before)} to {percent(self.expected_after)}"
        return f"{text}, words of validation expected to be wrong from {change}"


@dataclass(frozen=True)
class TrainingSummary:
    """A training of one run; what older runs did not record has the value they were made with."""

    figures: TrainingFigures
    stopped: str  # "max_steps", "early stop", "planned end" or "aborted: ..."
    skipped: int  # steps left out for a non-finite loss or gradient
    utterances_seen: int
    seconds_validating: float
    trainable_parameters: int
    dtype: str = "float32"  # of the matrix products
    reversed_clips: ReversedClips = ReversedClips()
    recommended: dict[str, Any] = field(default_factory=dict)  # settings found by rule
    reasons: dict[str, str] = field(default_factory=dict)  # for each of these
    word_errors: WordErrorUpdates | None = None
    degenerated: str | None = None  # why the base was saved, not the step of the least loss

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> TrainingSummary:
        second = row.get("word_errors")
        return cls(
            figures=TrainingFigures.from_json(row),
            stopped=row["stopped"],
            skipped=row["skipped"],
            utterances_seen=row["utterances_seen"],
            seconds_validating=row["seconds_validating"],
            trainable_parameters=row["trainable_parameters"],
            dtype=row.get("dtype", "float32"),
            reversed_clips=ReversedClips(**row.get("heard_backwards", {})),
            recommended=row.get("picked", {}),
            reasons=row.get("why", {}),
            word_errors=WordErrorUpdates.from_json(second) if second else None,
            degenerated=row.get("collapsed"),
        )

    @property
    def aborted(self) -> bool:
        """True if it ended before its time, with numbers that are not finite."""
        return self.stopped.startswith("aborted")

    @property
    def utterances_per_second(self) -> float:
        """While it trained: validation left out."""
        return self.utterances_seen / max(self.figures.seconds - self.seconds_validating, 1e-9)
