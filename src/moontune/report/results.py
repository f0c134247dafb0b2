"""The values that reports are made of: one run's results, two runs compared, a cross-validation,
its adapter.

Nothing here opens a run's folder: `RunDir.results()` reads one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moontune.config.schema import RunConfig, TokenCap
from moontune.data.audio import AudioPart
from moontune.data.recordings import KeptTogether
from moontune.data.sources.base import DataOrigin
from moontune.data.splitting import Share
from moontune.evaluation.acceptance import Check, Verdict
from moontune.evaluation.confidence.reliability import WordConfidence
from moontune.evaluation.error_rates import evaluated_rate, leading_rate
from moontune.evaluation.key_terms.figures import TermFigures
from moontune.evaluation.key_terms.rare_words import RareWords
from moontune.evaluation.key_terms.results import KeyTermResults
from moontune.evaluation.measures import Comparison, Outcome
from moontune.evaluation.phrasing import plainly
from moontune.evaluation.predictions import PredictionRow
from moontune.evaluation.screening.suspects import Suspect
from moontune.languages.table import RateName
from moontune.report.new_clips import NewClips
from moontune.system.device import Device
from moontune.training.summary import TrainingFigures, TrainingSummary


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


@dataclass(frozen=True)
class FoldFigures:
    """One fold of a cross-validation, as crossval.json has it; pairs are of base and tuned."""

    fold: str  # its folder's name
    utterances: int  # tested on
    speakers: int
    train_utterances: int
    rate: RateName
    errors: tuple[float | None, float | None]
    loss: tuple[float, float]
    general_errors: tuple[float, float] | None  # on general speech; None where it was not measured
    steps: float
    best_step: float
    skipped: int
    stopped: str
    seconds: float
    picked: dict[str, Any]  # settings recommended for the fold's data

    def to_json(self) -> dict[str, Any]:
        """The errors under the name of their rate."""
        names = {"errors": self.rate, "general_errors": f"general_{self.rate}"}
        return {names.get(key, key): value for key, value in vars(self).items() if key != "rate"}


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


@dataclass(frozen=True)
class FoldTraining:
    """How the training of a fold went."""

    fold: str  # its folder's name
    losses: LossHistory
    best_step: float  # update that was kept


@dataclass(frozen=True)
class TrialFigures:
    """A trial of a sweep, as its page shows it."""

    number: int
    values: list[str]  # of the settings that were searched, in their order
    loss: float  # the least on validation, nats per target token
    step: int  # update of it
    state: str  # best, given up early, aborted; empty for any other


@dataclass(frozen=True)
class Advice:
    """Which settings of a sweep to use."""

    outcome: Outcome  # of them against the run's own, on the test clips
    badge: str
    says: str


@dataclass(frozen=True)
class SweepTrials:
    """The trials of a sweep, the least validation loss first, and what follows from them."""

    names: list[str]  # of the settings that were searched
    rows: list[TrialFigures]
    advice: Advice
    sentence: str  # how the best was chosen
    next_steps: list[NextStep] = field(default_factory=list)


@dataclass(frozen=True)
class CrossvalResults:
    """All folds of a cross-validation together: every clip tested once."""

    name: str
    folds: list[FoldFigures]
    comparison: Comparison
    cautions: list[str]
    before: list[PredictionRow]
    after: list[PredictionRow]
    audio: Mapping[str, Path | AudioPart]
    suspects: list[Suspect] = field(default_factory=list)  # the least fitting first
    trainings: list[FoldTraining] = field(default_factory=list)
    by_speaker: bool = True  # no speaker of a fold's test clips was met in its training
    general: GeneralSpeech | None = None  # of base and all folds' adapters; None: not measured
    confidence: WordConfidence | None = None  # of words, where the folds decode by consensus
    key_terms: KeyTermResults | None = None  # where it has a list
    with_terms: Mapping[str, str] = field(default_factory=dict)  # as of a run
    rare_words: RareWords | None = None  # None where words are not separated
    next_steps: list[NextStep] = field(default_factory=list)
