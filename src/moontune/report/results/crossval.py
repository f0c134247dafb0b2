"""The results of a cross-validation, and of a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moontune.data.audio import AudioPart
from moontune.evaluation.confidence.reliability import WordConfidence
from moontune.evaluation.key_terms.rare_words import RareWords
from moontune.evaluation.key_terms.results import KeyTermResults
from moontune.evaluation.measures import Comparison, Outcome
from moontune.evaluation.predictions import PredictionRow
from moontune.evaluation.screening.suspects import Suspect
from moontune.languages.table import RateName
from moontune.report.results.metrics import GeneralSpeech, NextStep
from moontune.report.results.run import LossHistory


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
