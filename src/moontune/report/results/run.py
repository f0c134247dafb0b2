"""One run's results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moontune.config.schema import RunConfig
from moontune.data.audio import AudioPart
from moontune.evaluation.error_rates import leading_rate
from moontune.evaluation.predictions import PredictionRow
from moontune.evaluation.screening.suspects import Suspect
from moontune.report.results.metrics import RunMetrics


@dataclass(frozen=True)
class LossHistory:
    """Losses over a training, from its log."""

    steps: list[StepLoss] = field(default_factory=list)
    validations: list[ValidationLoss] = field(default_factory=list)

    @classmethod
    def from_rows(cls, rows: list[dict[str, Any]]) -> LossHistory:
        """Of the rows of train_log.jsonl."""
        return cls(
            [StepLoss(r["step"], r["loss"], r["tokens"]) for r in rows if r["event"] == "update"],
            [ValidationLoss(r["step"], r["val_loss"]) for r in rows if r["event"] == "validation"],
        )


@dataclass(frozen=True)
class StepLoss:
    step: int
    loss: float | None  # nats per target token; None where it was not finite
    tokens: int


@dataclass(frozen=True)
class ValidationLoss:
    step: int
    loss: float | None


@dataclass(frozen=True)
class ArtifactClip:
    """A held-out clip, transcribed in a fresh process by what the run has saved."""

    id: str
    reference: str
    transcript: str
    same_tokens: bool  # as the evaluation's

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> ArtifactClip:
        reference = row.get("reference", "")
        return cls(row["id"], reference, row["transcript"], row["identical_tokens"])


@dataclass(frozen=True)
class ArtifactTest:
    """The saved adapter and processor, loaded and used in a fresh process."""

    device: str
    command: list[str]
    rate: float | None  # of errors, on these clips
    clips: list[ArtifactClip]

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> ArtifactTest:
        clips = [ArtifactClip.from_json(clip) for clip in row["clips"]]
        return cls(row["device"], row["command"], leading_rate(row), clips)


@dataclass(frozen=True)
class RunResults:
    """A judged run, as its reports show it."""

    metrics: RunMetrics
    config: RunConfig  # with what was recommended for the data
    losses: LossHistory
    before: list[PredictionRow]  # predictions of the base on the test split
    after: list[PredictionRow]  # of the tuned model
    artifact: ArtifactTest
    audio: Mapping[str, Path | AudioPart]  # files of the test split's clips and the suspects by id
    suspects: list[Suspect] = field(default_factory=list)  # the least fitting first
    # What the tuned model writes with the run's key terms, of the clips where that is other.
    with_terms: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.metrics.run

    @property
    def commands(self) -> list[list[str]]:
        return self.metrics.environment.commands
