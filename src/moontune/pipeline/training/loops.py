"""The updates of stage train: the usual ones, those on word errors, and what is kept of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from moontune.config.recommended import Recommendation, with_recommendations
from moontune.config.schema import RunConfig
from moontune.data.manifest import Utterance
from moontune.evaluation.kept_adapter import reason_to_keep_base
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.pipeline.training.log import TrainingLog
from moontune.system.distributed import ProcessGroup
from moontune.system.progress import Ui
from moontune.system.signals import stop_after_this_update

if TYPE_CHECKING:
    import torch
    from peft import PeftModel

    from moontune.evaluation.evaluate import Evaluation
    from moontune.models.base_model import Base
    from moontune.training.checkpoint import Checkpointer
    from moontune.training.loop import OnEvent, Prune, TrainingSetup, TrainResult

_STOPPING = "moontune: finishing this update and saving; Ctrl-C again stops at once"


class GivenUp(Exception):
    """A search gave up on this training, which leaves no adapter."""


@dataclass(frozen=True)
class Inputs:
    """The base and the clips of a training."""

    base: Base
    own: list[Utterance]
    val: list[Utterance]
    replay: list[Utterance]


@dataclass(frozen=True)
class Decisions:
    """Settings and labels decided before the first update; a checkpoint keeps them."""

    config: RunConfig  # with all that was recommended
    recommendations: list[Recommendation]
    reversed_transcripts: dict[str, str | None]  # by clip; None: the base came to no end

    def to_json(self) -> dict[str, Any]:
        return {
            "recommendations": [asdict(r) for r in self.recommendations],
            "reversed_transcripts": self.reversed_transcripts,
        }

    @classmethod
    def from_json(cls, config: RunConfig, saved: dict[str, Any]) -> Decisions:
        recommendations = [Recommendation.from_row(row) for row in saved["recommendations"]]
        config = with_recommendations(config, recommendations)
        return cls(config, recommendations, saved["reversed_transcripts"])


@dataclass(frozen=True)
class Sources:
    """Sources of clips beside the run's own."""

    reversed_clips: list[Utterance]
    shares: list[tuple[list[Utterance], float]]  # utterances, and their share of the places

    @property
    def wordless(self) -> int:
        return sum(not u.label for u in self.reversed_clips)


@dataclass(frozen=True)
class Training:
    """A training that is about to begin, or to go on."""

    run: RunDir
    inputs: Inputs
    decisions: Decisions
    sources: Sources
    validated: list[Utterance]
    dtype: str
    group: ProcessGroup
    kept_step: int | None  # None: the one best on what is validated

    @property
    def config(self) -> RunConfig:
        return self.decisions.config

    def stream(self, number: int = 0) -> Iterator[Utterance]:
        """Clips to train on, in an order of its own for each number."""
        from moontune.training.sampling import mixture

        seed = self.config.output.seed + 1_000 * number
        return mixture(self.inputs.own, self.sources.shares, seed)


@dataclass(frozen=True)
class Trained:
    """The adapter as it will be saved, and how it came about."""

    model: PeftModel
    result: TrainResult
    parameters: int  # that trained
    word_errors: TrainResult | None  # of the updates on word errors, where there were any
    discarded: str | None = None  # why the best update was not kept

    @property
    def whole(self) -> TrainResult:
        """The usual updates' result, with the time and clips of those on word errors."""
        second = self.word_errors
        if second is None:
            return self.result
        return replace(
            self.result,
            skipped=self.result.skipped + second.skipped,
            utterances_seen=self.result.utterances_seen + second.utterances_seen,
            seconds=round(self.result.seconds + second.seconds, 3),
            seconds_validating=round(self.result.seconds_validating + second.seconds_validating, 3),
        )


def second_key(key: str) -> str:
    """The key of the updates on word errors of a training."""
    return f"{key}-words"


def run_loops(
    training: Training,
    key: str,
    begin_bytes: int,
    earlier: dict[str, Any] | None,
    prune: Prune | None,
    ui: Ui,
) -> Trained:
    """Train the adapter, on word errors too where that is asked for, and discard one that is no
    better in words.

    `begin_bytes` is the length of the log that stays, `earlier` the result of the usual updates
    where the training stopped later. `prune` is asked after each of their validations. Raises
    GivenUp, or KeyboardInterrupt with all saved.
    """
    import torch

    from moontune.models.adapter import adapter_state, attach_lora, trainable_parameters
    from moontune.models.transcriber import load_audio
    from moontune.training.checkpoint import Checkpointer
    from moontune.training.loop import GIVEN_UP, TrainingSetup, TrainResult, never, train
    from moontune.training.state import began_with

    run, inputs, group, config = training.run, training.inputs, training.group, training.config
    model = attach_lora(inputs.base, config.lora, config.output.seed)
    begins = [adapter_state(model)]
    parameters = trainable_parameters(model)
    ui.note(f"{parameters:,} trainable parameters, matrix products in {training.dtype}")
    setup = TrainingSetup(
        model,
        inputs.base,
        load_audio,
        config.output.seed,
        getattr(torch, training.dtype),
        group,
        training.kept_step,
    )
    updates = (training.kept_step or config.train.updates) + config.train.mwer_steps
    log = TrainingLog(run, begin_bytes, updates, ui, group)
    echo_s = 2.0 if group.size > 1 else 0.0
    usual = TrainResult(**earlier) if earlier else None
    with log, stop_after_this_update(_STOPPING, echo_s) as stopping:

        def checkpointer(key: str, about: dict[str, Any]) -> Checkpointer:
            about = training.decisions.to_json() | about
            return Checkpointer(run.checkpoint, key, stopping, log.settled_bytes, about)

        if usual is None:
            usual = train(
                setup,
                training.stream(),
                training.validated,
                config.train,
                on_event=log,
                prune=prune or never,
                checkpointer=checkpointer(key, {}),
            )
        if usual.stopped == GIVEN_UP:
            raise GivenUp
        stage = None
        if config.train.mwer_steps and usual.best_step:
            about = {"usual": asdict(usual)}
            on_event = log.of_word_errors(usual.steps)
            second = checkpointer(second_key(key), about)
            begins.append(began_with(model, group.on_main(second.saved)))
            stage = _train_on_word_errors(training, setup, on_event, second)
        elif config.train.mwer_steps:
            ui.note("no updates on word errors follow: of the usual ones none is kept")
    trained = Trained(model, usual, parameters, stage)
    validates = group.is_main and training.kept_step is None
    return _discard_if_worse(training, trained, begins, ui) if validates else trained


def _train_on_word_errors(
    training: Training, setup: TrainingSetup, on_event: OnEvent, checkpointer: Checkpointer
) -> TrainResult:
    """The updates on word errors, which go on from the adapter that was kept."""
    from moontune.training.loop import train
    from moontune.training.objectives.word_errors import WordErrors, settings_of_stage

    config = settings_of_stage(training.config.train)
    own = frozenset(u.id for u in training.inputs.own)
    base, cap = training.inputs.base, training.config.eval.token_cap
    setup = replace(
        setup,
        seed=setup.seed + 1,
        kept_step=config.updates if setup.kept_step else None,
        objective=lambda losses: WordErrors(base, losses, cap, own),
    )
    return train(
        setup,
        training.stream(1),
        training.validated,
        config,
        on_event=on_event,
        checkpointer=checkpointer,
    )


def _validation_words(training: Training) -> Evaluation:
    """Transcripts and losses of the model, as it is now, on the clips that are validated on."""
    from moontune.evaluation.evaluate import evaluate
    from moontune.models.transcriber import load_audio

    cap = training.config.eval.token_cap
    return evaluate(training.inputs.base, training.validated, load_audio, cap=cap)


def _discard_if_worse(
    training: Training,
    trained: Trained,
    begins: list[dict[str, torch.Tensor]],
    ui: Ui,
) -> Trained:
    """The untouched base in place of an adapter that is no better in words, or writes no speech;
    what the usual updates made, if only those on word errors spoilt it.

    `begins` is what each of the two began with. The loss that chose it also falls when labels'
    typography is learnt, or that of texts that are not said.
    """
    from moontune.models.adapter import adapter_state, set_adapter_state

    if not trained.result.best_step:
        return trained
    kept = adapter_state(trained.model)
    set_adapter_state(trained.model, begins[0])  # which adds nothing to the base yet
    before = _validation_words(training)
    set_adapter_state(trained.model, kept)
    reason = reason_to_keep_base(before, _validation_words(training))
    if reason and trained.word_errors and trained.word_errors.best_step:
        ui.warn(f"the updates on word errors are not kept: {reason}")
        trained = replace(trained, word_errors=trained.word_errors.of_base())
        set_adapter_state(trained.model, begins[1])
        reason = reason_to_keep_base(before, _validation_words(training))
    if reason is None:
        return trained
    ui.warn(
        f"update {trained.result.best_step} is not kept, though its loss is the least: {reason}"
    )
    set_adapter_state(trained.model, begins[0])
    return replace(trained, result=trained.result.of_base(), discarded=reason)
