"""Two runs compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from moontune.config.schema import RunConfig
from moontune.data.audio import AudioPart
from moontune.evaluation.key_terms.figures import TermFigures
from moontune.evaluation.measures import Comparison
from moontune.evaluation.phrasing import plainly
from moontune.evaluation.predictions import PredictionRow
from moontune.report.results.metrics import NextStep
from moontune.training.summary import TrainingFigures


@dataclass(frozen=True)
class ComparedRun:
    """A run, or a cross-validation, whose tuned model is set beside another's."""

    name: str
    config: RunConfig
    training: TrainingFigures
    commands: list[list[str]]
    predictions: list[PredictionRow]  # of the tuned model on the test split
    audio: Mapping[str, Path | AudioPart]


@dataclass(frozen=True)
class RunComparison:
    """The tuned models of two runs on the same test clips."""

    before: ComparedRun
    after: ComparedRun
    comparison: Comparison
    remarks: list[str]
    bases: str = ""  # that the two adapt, in a sentence, where they are two
    next_steps: list[NextStep] = field(default_factory=list)
    key_terms: TermFigures | None = None  # of a list that was asked for

    @property
    def names(self) -> tuple[str, str]:
        return self.before.name, self.after.name

    @property
    def better(self) -> str | None:
        """The name of the one that hears better; None where that cannot be told."""
        return {"better": self.after.name, "worse": self.before.name}.get(
            self.comparison.error_rate.outcome or ""
        )

    @property
    def plain(self) -> str:
        """The answer for anybody to read."""
        return plainly(self.comparison, self.names) + (f" {self.bases}" if self.bases else "")

    @property
    def findings(self) -> list[str]:
        """Sentences that say what the intervals say, and what to beware of."""
        return [*self.comparison.sentences.values(), *self.remarks]
