"""Stage train: settings recommended for the data, the adapter trained, the best one written.

In order: `_load_inputs`, `_decide` (or what a checkpoint says was decided), `_run_loop`,
`_write_products`.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from moontune.config.loading import setting_text
from moontune.config.recommended import (
    BASE_CLIPS,
    DataSummary,
    Recommendation,
    recommend,
    unset,
    with_recommendations,
)
from moontune.config.schema import RunConfig
from moontune.data.manifest import Utterance, manifest_hash, read_run_manifest, write_manifest
from moontune.evaluation.kept_adapter import reason_to_keep_base
from moontune.pipeline.base_of_run import load_base_for
from moontune.pipeline.general_speech import general_speech
from moontune.pipeline.run_dir import RunDir
from moontune.pipeline.training_log import TrainingLog, is_logged
from moontune.system.device import training_dtype
from moontune.system.distributed import SINGLE, ProcessGroup
from moontune.system.files import write_json
from moontune.system.formatting import counted
from moontune.system.progress import Ui
from moontune.system.signals import stop_after_this_update

if TYPE_CHECKING:
    import torch
    from peft import PeftModel

    from moontune.evaluation.evaluate import Evaluation
    from moontune.models.base_model import Base
    from moontune.training.checkpoint import Checkpoint
    from moontune.training.loop import Prune, TrainResult

_STOPPING = "moontune: finishing this update and saving; Ctrl-C again stops at once"


class GivenUp(Exception):
    """A search gave up on this training, which leaves no adapter."""


@dataclass(frozen=True)
class UnvalidatedTraining:
    """A training with nothing held out: what others measured decides in place of validation."""

    base_wer: float | None  # of the base, on all clips; None: not measured
    kept_share: float  # of max_steps: training ends with that update, which is kept

    def kept_step(self, updates: int) -> int:
        """The last update of so many planned ones, from 1."""
        return min(max(1, round(self.kept_share * updates)), updates)


@dataclass(frozen=True)
class TrainOptions:
    """Options of trainings that are part of something larger: a search, or a final adapter."""

    val_clips: int | None = None  # to validate on; None: as many as `validation_sample` takes
    reversed_transcripts: dict[str, str | None] | None = None  # known already; gets the new ones
    prune: Prune | None = None  # asked after each validation whether to give up
    unvalidated: UnvalidatedTraining | None = None  # the validation split is not looked at


@dataclass(frozen=True)
class _Inputs:
    """The base and the clips of a training."""

    base: Base
    own: list[Utterance]
    val: list[Utterance]
    replay: list[Utterance]


@dataclass(frozen=True)
class _Decisions:
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
    def from_json(cls, config: RunConfig, saved: dict[str, Any]) -> _Decisions:
        recommendations = [Recommendation.from_row(row) for row in saved["recommendations"]]
        config = with_recommendations(config, recommendations)
        return cls(config, recommendations, saved["reversed_transcripts"])


def train_stage(
    run: RunDir,
    config: RunConfig,
    ui: Ui,
    group: ProcessGroup = SINGLE,
    options: TrainOptions = TrainOptions(),
) -> dict[str, Any]:
    """Train the adapter of a run; returns what `run.json` records of device and base.

    Raises UserError, GivenUp, or KeyboardInterrupt with all saved.
    """
    inputs, provenance = _load_inputs(run, config, group)
    dtype = training_dtype(inputs.base.device, config.train.dtype)
    key = _key(config, inputs, dtype, options, group)
    checkpoint = group.on_main(lambda: _checkpoint(run, key, ui))
    if checkpoint is None:
        decisions = _decide(inputs, config, options, group, ui)
    else:
        decisions = _Decisions.from_json(config, checkpoint.facts["about"])
        ui.note(f"going on after update {checkpoint.facts['progress']['step']}")
    sources = _sources(inputs, decisions, ui)
    validated = _validated(decisions.config, inputs.val, options, ui)
    kept_step = None
    if options.unvalidated:
        kept_step = options.unvalidated.kept_step(decisions.config.train.updates)
        ui.note(f"nothing is held out; update {kept_step} is kept, as in the folds")
    training = _Training(run, inputs, decisions, sources, validated, dtype, group, kept_step)
    begin_bytes = checkpoint.facts["log_bytes"] if checkpoint else 0
    trained = _run_loop(training, key, begin_bytes, options, ui)
    if group.is_main:
        _write_products(training, trained)
        _say_result(trained.result, ui)
    return provenance


def _load_inputs(
    run: RunDir, config: RunConfig, group: ProcessGroup
) -> tuple[_Inputs, dict[str, Any]]:
    """The base and the splits, and how `run.json` records the base."""
    base, provenance = load_base_for(run, config, group)
    own, val, replay = group.on_main(
        lambda: (_fitting(run, "train"), _fitting(run, "val"), general_speech(run, "replay"))
    )
    return _Inputs(base, own, val, replay), provenance


def _fitting(run: RunDir, split: str) -> list[Utterance]:
    """A split's utterances but for those that were set aside."""
    aside = {s.id for s in run.suspects() if s.set_aside}
    return [u for u in read_run_manifest(run.manifest(split)) if u.id not in aside]


def _key(
    config: RunConfig, inputs: _Inputs, dtype: str, options: TrainOptions, group: ProcessGroup
) -> str:
    """A hash of all that the training is made of: the checkpoint of another is not taken up."""
    settings = [version("moontune"), config.train, config.lora, config.general.replay_share]
    settings += [config.eval.token_cap, config.output.seed, dtype, options.val_clips]
    settings += [options.unvalidated] if options.unvalidated else []
    rows = [manifest_hash(part) for part in (inputs.own, inputs.val, inputs.replay)]
    parts = (settings, rows, inputs.base.origin.sha256, inputs.base.device, group.size)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _checkpoint(run: RunDir, key: str, ui: Ui) -> Checkpoint | None:
    """The checkpoint to go on from. One that cannot be taken up is said so of, and removed."""
    from moontune.training.checkpoint import read_checkpoint

    if not run.checkpoint.exists():
        return None
    checkpoint, why = read_checkpoint(run.checkpoint, key), "it is damaged, or of other settings"
    if checkpoint is not None and not is_logged(run, checkpoint.facts["log_bytes"]):
        checkpoint, why = None, "its training log is not there as it was"
    if checkpoint is None:
        ui.warn(f"the saved state is not gone on with: {why}; training begins anew")
        run.checkpoint.unlink()
    return checkpoint


def _decide(
    inputs: _Inputs, config: RunConfig, options: TrainOptions, group: ProcessGroup, ui: Ui
) -> _Decisions:
    """Settings recommended for the data where none were given, and the clips to reverse."""
    from moontune.training.sampling import evenly_spaced

    data = DataSummary(len(inputs.own), None)
    if options.unvalidated:
        data = DataSummary(len(inputs.own), options.unvalidated.base_wer, "the clips of all folds")
    elif "lr" in unset(config):
        base_wer = _wer(inputs.base, evenly_spaced(inputs.val, BASE_CLIPS), config, group)
        data = replace(data, wer=base_wer)
    config, recommendations = recommend(config, data)
    for r in recommendations:
        ui.note(f"{r.name} {setting_text(r.value)}: {r.why}")
    known = {} if options.reversed_transcripts is None else options.reversed_transcripts
    transcripts = _reversed_transcripts(inputs, config, known, group, ui)
    return _Decisions(config, recommendations, transcripts)


def _wer(
    base: Base, clips: list[Utterance], config: RunConfig, group: ProcessGroup
) -> float | None:
    from moontune.evaluation.evaluate import evaluate
    from moontune.models.transcriber import load_audio

    return evaluate(base, clips, load_audio, cap=config.eval.token_cap, group=group).wer


def _reversed_transcripts(
    inputs: _Inputs,
    config: RunConfig,
    known: dict[str, str | None],
    group: ProcessGroup,
    ui: Ui,
) -> dict[str, str | None]:
    """The base's transcripts of the clips chosen to be reversed; `known` gets the new ones."""
    from moontune.training.reversed_clips import base_transcripts_reversed, choose

    chosen = choose(inputs.own, config.train)
    new = [u for u in chosen if u.id not in known]
    if new:
        known |= base_transcripts_reversed(
            inputs.base, new, config.eval.token_cap, group, ui.progress
        )
    return {u.id: known[u.id] for u in chosen}


@dataclass(frozen=True)
class _Sources:
    """Sources of clips beside the run's own."""

    reversed_clips: list[Utterance]
    shares: list[tuple[list[Utterance], float]]  # utterances, and their share of the places

    @property
    def wordless(self) -> int:
        return sum(not u.label for u in self.reversed_clips)


def _sources(inputs: _Inputs, decisions: _Decisions, ui: Ui) -> _Sources:
    from moontune.training.reversed_clips import as_training_clips

    config, transcripts = decisions.config, decisions.reversed_transcripts
    clips = as_training_clips(inputs.own, transcripts)
    sources = _Sources(clips, [(inputs.replay, config.general.replay_share)])
    if transcripts:  # few that can be used have few places, or they were learnt by heart
        share = config.train.backwards_share * len(clips) / len(transcripts)
        sources.shares.append((clips, share))
    if transcripts and not clips:
        ui.warn("no clip is heard backwards: the base comes to no end with any of them")
    elif transcripts:
        ui.note(
            f"against forgetting, {len(clips)} clips are heard backwards too, with what the base "
            f"writes for them, nothing for {sources.wordless}"
        )
    return sources


def _validated(
    config: RunConfig, val: list[Utterance], options: TrainOptions, ui: Ui
) -> list[Utterance]:
    """Utterances to validate on: `val_clips` of the split, or as many as `validation_sample` takes;
    none where nothing is held out."""
    from moontune.training.sampling import evenly_spaced, validation_sample

    if options.unvalidated:
        return []
    clips = options.val_clips
    validated = validation_sample(val, config.train) if clips is None else evenly_spaced(val, clips)
    if len(validated) < len(val):
        ui.note(f"validating on {len(validated)} of the {len(val)} validation clips")
    return validated


@dataclass(frozen=True)
class _Training:
    """A training that is about to begin, or to go on."""

    run: RunDir
    inputs: _Inputs
    decisions: _Decisions
    sources: _Sources
    validated: list[Utterance]
    dtype: str
    group: ProcessGroup
    kept_step: int | None  # None: the one best on what is validated

    @property
    def config(self) -> RunConfig:
        return self.decisions.config


@dataclass(frozen=True)
class _Trained:
    """The adapter as it will be saved, and how it came about."""

    model: PeftModel
    result: TrainResult
    parameters: int  # that trained
    discarded: str | None = None  # why the best update was not kept


def _run_loop(
    training: _Training, key: str, begin_bytes: int, options: TrainOptions, ui: Ui
) -> _Trained:
    """Train the adapter, and discard one that is no better in words.

    Raises GivenUp, or KeyboardInterrupt with all saved.
    """
    import torch

    from moontune.models.adapter import adapter_state, attach_lora, trainable_parameters
    from moontune.models.transcriber import load_audio
    from moontune.training.checkpoint import Checkpointer
    from moontune.training.loop import GIVEN_UP, TrainingSetup, never, train
    from moontune.training.sampling import mixture

    run, inputs, group, config = training.run, training.inputs, training.group, training.config
    validates = group.is_main and training.kept_step is None
    before = _validation_words(training) if validates else None
    model = attach_lora(inputs.base, config.lora, config.output.seed)
    start = adapter_state(model)
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
    stream = mixture(inputs.own, training.sources.shares, config.output.seed)
    updates = training.kept_step or config.train.updates
    log = TrainingLog(run, begin_bytes, updates, ui, group)
    echo_s = 2.0 if group.size > 1 else 0.0
    with log, stop_after_this_update(_STOPPING, echo_s) as stopping:
        result = train(
            setup,
            stream,
            training.validated,
            config.train,
            on_event=log,
            prune=options.prune or never,
            checkpointer=Checkpointer(
                run.checkpoint, key, stopping, log.settled_bytes, training.decisions.to_json()
            ),
        )
    if result.stopped == GIVEN_UP:
        raise GivenUp
    trained = _Trained(model, result, parameters)
    return trained if before is None else _discard_if_worse(training, trained, start, before, ui)


def _validation_words(training: _Training) -> Evaluation:
    """Transcripts and losses of the model, as it is now, on the clips that are validated on."""
    from moontune.evaluation.evaluate import evaluate
    from moontune.models.transcriber import load_audio

    cap = training.config.eval.token_cap
    return evaluate(training.inputs.base, training.validated, load_audio, cap=cap)


def _discard_if_worse(
    training: _Training,
    trained: _Trained,
    start: dict[str, torch.Tensor],
    before: Evaluation,
    ui: Ui,
) -> _Trained:
    """The untouched base in place of an adapter that is no better in words, or writes no speech.

    The loss that chose it also falls when labels' typography is learnt, or that of texts that are
    not said.
    """
    from moontune.models.adapter import set_adapter_state

    if not trained.result.best_step:
        return trained
    after = _validation_words(training)
    reason = reason_to_keep_base(before, after)
    if reason is None:
        return trained
    ui.warn(
        f"update {trained.result.best_step} is not kept, though its loss is the least: {reason}"
    )
    set_adapter_state(trained.model, start)
    return replace(trained, result=trained.result.of_base(), discarded=reason)


def _write_products(training: _Training, trained: _Trained) -> None:
    """The adapter, the processor, the reversed clips and `train.json`."""
    from moontune.models.adapter import save_adapter, save_processor

    run, base, sources = training.run, training.inputs.base, training.sources
    save_adapter(trained.model, base, run.adapter)
    save_processor(base, run.processor)
    write_manifest(run.manifest("backwards"), sources.reversed_clips)
    recommendations = training.decisions.recommendations
    summary = asdict(trained.result) | {
        "trainable_parameters": trained.parameters,
        "dtype": training.dtype,
        "val_utterances": len(training.validated),
        "processes": training.group.size,
        "heard_backwards": {"clips": len(sources.reversed_clips), "empty": sources.wordless},
        "picked": {r.name: r.value for r in recommendations},
        "why": {r.name: r.why for r in recommendations},
        "collapsed": trained.discarded,
    }
    write_json(run / "train.json", summary)


def _say_result(result: TrainResult, ui: Ui) -> None:
    text = f"{result.stopped} after {counted(result.steps, 'update')}; kept step {result.best_step}"
    if result.first_val_loss is not None:
        text += f", validation loss {result.first_val_loss:.4f} -> {result.best_val_loss:.4f}"
    ui.note(text)
    if result.skipped:
        ui.warn(f"skipped for a non-finite loss or gradient: {counted(result.skipped, 'update')}")
