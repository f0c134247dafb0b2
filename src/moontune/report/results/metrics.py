"""What a run measured and was made of: its `metrics.json`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from moontune.config.schema import TokenCap
from moontune.data.recordings import KeptTogether
from moontune.data.sources.base import DataOrigin
from moontune.data.splitting import Share
from moontune.evaluation.acceptance import Verdict
from moontune.evaluation.confidence.reliability import WordConfidence
from moontune.evaluation.error_rates import evaluated_rate
from moontune.evaluation.key_terms.rare_words import RareWords
from moontune.evaluation.key_terms.results import KeyTermResults
from moontune.evaluation.measures import Comparison
from moontune.report.new_clips import NewClips
from moontune.system.device import Device
from moontune.training.summary import TrainingSummary


@dataclass(frozen=True)
class EvaluationFigures:
    """Figures of one model on the test split, and the conditions they hold under."""

    loss: float  # nats per target token
    rate: float | None  # of errors
    target_tokens: int
    normalizer: str
    token_cap: TokenCap

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> EvaluationFigures:
        """Evaluations from before `token_margin` had a margin of 2."""
        decoding = row["decoding"]
        cap = TokenCap(decoding["tokens_per_second"], decoding.get("token_margin", 2))
        return cls(row["loss"], evaluated_rate(row), row["target_tokens"], row["normalizer"], cap)


@dataclass(frozen=True)
class GeneralSpeech:
    """General speech of a run: the forgetting check, and what was replayed in training."""

    comparison: Comparison | None  # base and tuned model on clips not trained on
    origin: DataOrigin | None = None  # of these clips
    remark: str | None = None  # why there is no check
    replay: DataOrigin | None = None  # of what was replayed

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> GeneralSpeech:
        comparison, origin, replay = row["comparison"], row["origin"], row.get("replay")
        return cls(
            Comparison.from_json(comparison) if comparison else None,
            DataOrigin.from_json(origin) if origin else None,
            row["remark"],
            DataOrigin.from_json(replay) if replay else None,
        )


@dataclass(frozen=True)
class Corpus:
    """Utterances that could be used, where they are from, and what was dropped."""

    utterances: int
    speakers: int
    minutes: float
    origin: DataOrigin
    dropped: dict[str, int]  # by reason
    annotations: dict[str, int] = field(default_factory=dict)  # taken out of so many texts

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Corpus:
        return cls(
            row["utterances"],
            row["speakers"],
            row["minutes"],
            DataOrigin.from_json(row["origin"]),
            row["dropped"],
            row.get("annotations", {}),
        )


@dataclass(frozen=True)
class RunData:
    """The run's own data, as it was divided and written."""

    corpus: Corpus
    splits: dict[str, Share]
    leakage: dict[str, int]  # speakers, recordings and sentences in two splits
    references: str  # their style: cased, upper or lower
    labels: str  # how training text was made of them
    set_aside: int = 0  # clips not trained or validated on, their transcripts looking wrong
    kept: KeptTogether | None = None  # of a split by recording

    @classmethod
    def from_json(cls, metrics: dict[str, Any]) -> RunData:
        return cls(
            corpus=Corpus.from_json(metrics["data"]),
            splits={name: Share(**share) for name, share in metrics["split"].items()},
            leakage=metrics["leakage"],
            references=metrics["labels"]["references"],
            labels=metrics["labels"]["used"],
            set_aside=metrics["labels"].get("set_aside", 0),
            kept=KeptTogether.from_json(metrics.get("kept_together")),
        )


@dataclass(frozen=True)
class BaseOrigin:
    """The base's weights: what was asked for, what was found, and what others can ask for."""

    asked: str
    hub_id: str
    revision: str | None
    sha256: str
    from_hub: bool
    model_type: str = "moonshine"

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> BaseOrigin:
        names = ("asked", "hub_id", "revision", "sha256", "from_hub")
        # Runs made before there was a second type do not name it.
        same = {k: row[k] for k in names}
        return cls(**same, model_type=row.get("model_type", cls.model_type))


@dataclass(frozen=True)
class Environment:
    """The machine, the versions and the commands of a run."""

    started: str
    commands: list[list[str]]
    python: str
    platform: str
    versions: dict[str, str]
    git_revision: str | None
    folder: str = ""  # in which it was begun, absolute

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Environment:
        names = ("started", "commands", "python", "platform", "versions", "git_revision")
        values = {name: row[name] for name in names}
        return cls(**values, folder=row.get("folder", ""))


@dataclass(frozen=True)
class NextStep:
    """Something to do now."""

    says: str
    command: str  # to be typed; empty where there is none


@dataclass(frozen=True)
class RunMetrics:
    """metrics.json: everything a run measured, and what it was measured on."""

    run: str
    accepted: bool
    verdict: Verdict
    baseline: EvaluationFigures
    tuned: EvaluationFigures
    comparison: Comparison
    general: GeneralSpeech
    training: TrainingSummary
    data: RunData
    base: BaseOrigin
    device: Device
    environment: Environment
    stage_seconds: dict[str, float]
    remarks: list[str]
    next_steps: list[NextStep] = field(default_factory=list)  # none of runs older than that
    confidence: WordConfidence | None = None  # of words, where the run decodes by consensus
    new_clips: NewClips | None = None  # of a run that came after another
    key_terms: KeyTermResults | None = None  # where the run has a list
    rare_words: RareWords | None = None  # None where words are not separated, and of older runs

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> RunMetrics:
        return cls(
            run=row["run"],
            accepted=row["accepted"],
            verdict=Verdict.from_json(row["verdict"]),
            baseline=EvaluationFigures.from_json(row["baseline"]),
            tuned=EvaluationFigures.from_json(row["tuned"]),
            comparison=Comparison.from_json(row["comparison"]),
            general=GeneralSpeech.from_json(row["general"]),
            training=TrainingSummary.from_json(row["training"]),
            data=RunData.from_json(row),
            base=BaseOrigin.from_json(row["base_model"]),
            device=Device(**row["device"]),
            environment=Environment.from_json(row["environment"]),
            stage_seconds=row["timings_s"],
            remarks=row["remarks"],
            next_steps=[NextStep(**step) for step in row.get("next_steps", [])],
            confidence=WordConfidence.from_json(row.get("confidence")),
            new_clips=NewClips.from_json(row.get("new_clips"), row["run"]),
            key_terms=KeyTermResults.from_json(row.get("key_terms")),
            rare_words=RareWords.from_json(row.get("rare_words")),
        )
