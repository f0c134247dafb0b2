"""Stage train: settings recommended for the data, the adapter trained, the best one written.

In order: `_load_inputs`, `_decide` (or what a checkpoint says was decided), `_run_loop`,
`_write_products`.
"""

from __future__ import annotations

import hashlib
import shlex
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from moontune.config.loading import setting_text
from moontune.config.recommended import (
    BASE_CLIPS,
    DataSummary,
    clips_heard,
    recommend,
    unset,
)
from moontune.config.schema import RunConfig
from moontune.data.manifest import Utterance, manifest_hash, write_manifest
from moontune.evaluation.error_rates import corpus_rate
from moontune.pipeline.base_of_run import load_base_for
from moontune.pipeline.general_speech import general_speech
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.pipeline.training.log import is_logged
from moontune.pipeline.training.loops import (
    Decisions,
    Inputs,
    Sources,
    Trained,
    Training,
    run_loops,
    second_key,
)
from moontune.system.device import training_dtype
from moontune.system.distributed import SINGLE, ProcessGroup
from moontune.system.files import write_json
from moontune.system.formatting import counted
from moontune.system.progress import Ui
from moontune.training.summary import WordErrorUpdates

if TYPE_CHECKING:
    from moontune.training.checkpoint import Checkpoint
    from moontune.training.loop import Prune


@dataclass(frozen=True)
class UnvalidatedTraining:
    """A training with nothing held out: what others measured decides in place of validation."""

    base_rate: float | None  # of errors of the base, on all clips; None: not measured
    kept_share: float  # of max_steps: training ends with that update, which is kept
    word_errors: bool = True  # whether the updates on word errors, where asked for, are worth it

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
    # What a whole keeps is for all of its parts.
    split = group.on_main(lambda: run.read("split.json") if run.whole == run else {})
    inputs, provenance = _load_inputs(run, config, group)
    dtype = training_dtype(inputs.base.device, config.train.dtype)
    key = _key(config, inputs, dtype, options, group)
    checkpoint = group.on_main(lambda: _checkpoint(run, key, ui))
    usual = None
    if checkpoint is None:
        decisions = _decide(run, inputs, config, options, group, ui)
        _tell_left_out(run, split, decisions.config, ui)
    else:
        decisions = Decisions.from_json(config, checkpoint.facts["about"])
        usual = checkpoint.facts["about"].get("usual")
        done = checkpoint.facts["progress"]["step"] + (usual["steps"] if usual else 0)
        ui.note(f"going on after update {done}")
    sources = _sources(inputs, decisions, ui)
    validated = _validated(decisions.config, inputs.val, options, ui)
    kept_step = None
    if options.unvalidated:
        decisions = _as_measured(decisions, options.unvalidated, ui)
        kept_step = options.unvalidated.kept_step(decisions.config.train.updates)
        ui.note(f"nothing is held out; update {kept_step} is kept, as in the folds")
    training = Training(run, inputs, decisions, sources, validated, dtype, group, kept_step)
    begin_bytes = checkpoint.facts["log_bytes"] if checkpoint else 0
    trained = run_loops(training, key, begin_bytes, usual, options.prune, ui)
    if group.is_main:
        _write_products(training, trained)
        _say_result(trained, ui)
    return provenance


def _load_inputs(
    run: RunDir, config: RunConfig, group: ProcessGroup
) -> tuple[Inputs, dict[str, Any]]:
    """The base and the splits, and how `run.json` records the base."""
    base, provenance = load_base_for(run, config, group)
    own, val, replay = group.on_main(
        lambda: (run.fitting("train"), run.fitting("val"), general_speech(run, "replay"))
    )
    return Inputs(base, own, val, replay), provenance


def _key(
    config: RunConfig, inputs: Inputs, dtype: str, options: TrainOptions, group: ProcessGroup
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
    checkpoint = read_checkpoint(run.checkpoint, key) or read_checkpoint(
        run.checkpoint, second_key(key)
    )
    why = "it is damaged, or of other settings"
    if checkpoint is not None and not is_logged(run, checkpoint.facts["log_bytes"]):
        checkpoint, why = None, "its training log is not there as it was"
    if checkpoint is None:
        ui.warn(f"the saved state is not gone on with: {why}; training begins anew")
        run.checkpoint.unlink()
    return checkpoint


def _tell_left_out(run: RunDir, split: dict[str, Any], config: RunConfig, ui: Ui) -> None:
    """Where the split left clips out as more than a training hears, and this one is longer."""
    left_out = split.get("left_out", {}).get("train", 0)
    if not left_out:
        return
    kept, heard = split["shares"]["train"]["utterances"], clips_heard(config)
    if heard > kept:
        ui.warn(
            f"this training hears {heard:,} clips, and the split kept {kept:,} of "
            f"{left_out + kept:,}; moontune split {shlex.quote(str(run.path))} --overwrite keeps "
            "as many as it hears"
        )


def _decide(
    run: RunDir,
    inputs: Inputs,
    config: RunConfig,
    options: TrainOptions,
    group: ProcessGroup,
    ui: Ui,
) -> Decisions:
    """Settings recommended for the data where none were given, and the clips to reverse."""
    data = DataSummary(len(inputs.own), None)
    if options.unvalidated:
        data = DataSummary(len(inputs.own), options.unvalidated.base_rate, "the clips of all folds")
    elif "lr" in unset(config):
        data = replace(data, rate=_base_rate(run, inputs, config, group))
    config, recommendations = recommend(config, data)
    for r in recommendations:
        ui.note(f"{r.name} {setting_text(r.value)}: {r.why}")
    known = {} if options.reversed_transcripts is None else options.reversed_transcripts
    known |= group.on_main(lambda: run.reversed_transcripts(config.eval.token_cap))
    transcripts = _reversed_transcripts(inputs, config, known, group, ui)
    return Decisions(config, recommendations, transcripts)


def _base_rate(run: RunDir, inputs: Inputs, config: RunConfig, group: ProcessGroup) -> float | None:
    """The base's error rate on validation clips, by transcripts that labels left or by new ones."""
    from moontune.models.transcriber import Transcriber, transcripts_of
    from moontune.training.sampling import evenly_spaced

    clips = evenly_spaced(inputs.val, BASE_CLIPS)
    written = group.on_main(run.base_words)
    new = [u for u in clips if u.id not in written]
    if new:
        cap = config.eval.token_cap
        found = transcripts_of(Transcriber(inputs.base), new, cap, group, lambda *_: None)
        written |= {u.id: t.text for u, t in zip(new, found, strict=True)}
    return corpus_rate((u.text, written[u.id]) for u in clips)


def _reversed_transcripts(
    inputs: Inputs,
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


def _as_measured(decisions: Decisions, known: UnvalidatedTraining, ui: Ui) -> Decisions:
    """Without updates on word errors where they were not worth it."""
    config = decisions.config
    if known.word_errors or not config.train.mwer_steps:
        return decisions
    ui.note("no updates on word errors: most folds kept none of theirs")
    usual = replace(config.train, mwer_steps=0)
    return replace(decisions, config=replace(config, train=usual))


def _sources(inputs: Inputs, decisions: Decisions, ui: Ui) -> Sources:
    from moontune.training.reversed_clips import as_training_clips

    config, transcripts = decisions.config, decisions.reversed_transcripts
    clips = as_training_clips(inputs.own, transcripts)
    sources = Sources(clips, [(inputs.replay, config.general.replay_share)])
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


def _write_products(training: Training, trained: Trained) -> None:
    """The adapter, the processor, the reversed clips and `train.json`."""
    from moontune.models.adapter import save_adapter, save_processor

    run, base, sources = training.run, training.inputs.base, training.sources
    save_adapter(trained.model, base, run.adapter)
    save_processor(base, run.processor)
    write_manifest(run.manifest("backwards"), sources.reversed_clips)
    recommendations = training.decisions.recommendations
    summary = asdict(trained.whole) | {
        "trainable_parameters": trained.parameters,
        "dtype": training.dtype,
        "val_utterances": len(training.validated),
        "processes": training.group.size,
        "heard_backwards": {"clips": len(sources.reversed_clips), "empty": sources.wordless},
        "picked": {r.name: r.value for r in recommendations},
        "why": {r.name: r.why for r in recommendations},
        "word_errors": trained.word_errors and asdict(trained.word_errors),
        "collapsed": trained.discarded,
    }
    write_json(run / "train.json", summary)


def _say_result(trained: Trained, ui: Ui) -> None:
    result, second = trained.result, trained.word_errors
    text = f"{result.stopped} after {counted(result.steps, 'update')}; kept step {result.best_step}"
    if result.first_val_loss is not None:
        text += f", validation loss {result.first_val_loss:.4f} -> {result.best_val_loss:.4f}"
    ui.note(text)
    if second is not None:
        ui.note(str(WordErrorUpdates.from_json(asdict(second))))
    skipped = result.skipped + (second.skipped if second else 0)
    if skipped:
        ui.warn(f"skipped for a non-finite loss or gradient: {counted(skipped, 'update')}")
