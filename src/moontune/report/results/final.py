"""A cross-validation's adapter, trained on all clips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moontune.config.schema import RunConfig, TokenCap
from moontune.data.audio import AudioPart
from moontune.evaluation.acceptance import Check
from moontune.evaluation.key_terms.results import KeyTermResults
from moontune.evaluation.measures import Comparison
from moontune.evaluation.screening.suspects import Suspect
from moontune.report.results.metrics import BaseOrigin, Corpus, Environment, GeneralSpeech, NextStep
from moontune.report.results.run import ArtifactTest
from moontune.system.device import Device
from moontune.training.summary import TrainingSummary


@dataclass(frozen=True)
class Expectation:
    """What a cross-validation measured, and so what an adapter trained on all its clips should
    reach. It is no measurement of that adapter."""

    crossval: str  # its name
    folds: int
    comparison: Comparison  # base and the folds' adapters, every clip tested once
    cautions: list[str]
    key_terms: KeyTermResults | None = None  # of the folds, where there is a list

    def to_json(self) -> dict[str, Any]:
        whole = ("comparison", self.comparison), ("key_terms", self.key_terms)
        return vars(self) | {name: found and found.to_json() for name, found in whole}

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Expectation:
        comparison = Comparison.from_json(row["comparison"])
        terms = KeyTermResults.from_json(row.get("key_terms"))
        return cls(row["crossval"], row["folds"], comparison, row["cautions"], terms)


@dataclass(frozen=True)
class KeptUpdate:
    """The update kept without validation, and the folds' that it was chosen from."""

    step: int
    planned: int  # updates of the schedule
    share: float  # of those planned, after which the folds kept theirs: the median
    folds: list[tuple[int, int]]  # update kept and updates planned; 0: the base was kept

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> KeptUpdate:
        folds = [(step, planned) for step, planned in row["folds"]]
        return cls(row["step"], row["planned"], row["share"], folds)


@dataclass(frozen=True)
class FinalMetrics:
    """final.json: an adapter trained on all clips of a cross-validation, and what to expect of it.

    Nothing was held out, so there is no figure of its own on the run's data.
    """

    run: str
    usable: bool  # every check passed
    statement: str
    expected: Expectation
    kept: KeptUpdate
    checks: list[Check]
    cautions: list[str]
    general: GeneralSpeech  # not trained on, and so measured
    training: TrainingSummary
    corpus: Corpus  # all of it was trained on
    references: str  # their style: cased, upper or lower
    labels: str  # how training text was made of them
    cap: TokenCap
    normalizer: str
    base: BaseOrigin
    device: Device
    environment: Environment
    stage_seconds: dict[str, float]
    remarks: list[str]

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> FinalMetrics:
        return cls(
            run=row["run"],
            usable=row["usable"],
            statement=row["statement"],
            expected=Expectation.from_json(row["expected"]),
            kept=KeptUpdate.from_json(row["kept_update"]),
            checks=[Check(**check) for check in row["checks"]],
            cautions=row["cautions"],
            general=GeneralSpeech.from_json(row["general"]),
            training=TrainingSummary.from_json(row["training"]),
            corpus=Corpus.from_json(row["data"]),
            references=row["labels"]["references"],
            labels=row["labels"]["used"],
            cap=TokenCap(row["decoding"]["tokens_per_second"], row["decoding"]["token_margin"]),
            normalizer=row["normalizer"],
            base=BaseOrigin.from_json(row["base_model"]),
            device=Device(**row["device"]),
            environment=Environment.from_json(row["environment"]),
            stage_seconds=row["timings_s"],
            remarks=row["remarks"],
        )


@dataclass(frozen=True)
class FinalResults:
    """An adapter trained on all clips, as its reports show it."""

    metrics: FinalMetrics
    config: RunConfig  # with what was recommended for the data
    artifact: ArtifactTest
    audio: Mapping[str, Path | AudioPart] = field(default_factory=dict)  # of the suspects by id
    suspects: list[Suspect] = field(default_factory=list)  # the least fitting first
    next_steps: list[NextStep] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.metrics.run

    @property
    def cautions(self) -> list[str]:
        """What to beware of: the checks that failed, then the cross-validation's cautions."""
        failed = [check for check in self.metrics.checks if not check.passed]
        texts = [f"Do not rely on it: {check.says}: {check.detail}." for check in failed]
        return [*texts, *self.metrics.cautions, *self.metrics.expected.cautions]
