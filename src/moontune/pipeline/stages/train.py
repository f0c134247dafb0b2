"""The training stage: settings picked, the adapter trained, what was kept written."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from moontune.config.loading import setting_text
from moontune.config.recommended import BASE_CLIPS, Data, Pick, open_settings, pick, with_picks
from moontune.config.schema import RunConfig
from moontune.data.manifest import Utterance, manifest_hash, read_rows, write_manifest
from moontune.evaluation.degeneration import collapsed
from moontune.models.decoding import Transcript
from moontune.pipeline.base_of_run import load_base_for
from moontune.pipeline.general_speech import more_speech
from moontune.pipeline.run_dir import RunDir
from moontune.system.distributed import SOLO, Group
from moontune.system.files import read_jsonl, write_json
from moontune.system.progress import Ui
from moontune.system.signals import finishing_first

if TYPE_CHECKING:
    from moontune.models.base_model import Base
    from moontune.training.checkpoint import Keeper, State
    from moontune.training.loop import TrainResult

_LISTENED = 16  # validation clips that must still be heard as speech
_FINISHING = "moontune: finishing this update and saving; Ctrl-C again stops at once"


def train_stage(  # noqa: PLR0915
    run: RunDir,
    config: RunConfig,
    ui: Ui,
    group: Group = SOLO,
    val_clips: int | None = None,
    heard_backwards: dict[str, str | None] | None = None,
) -> dict[str, Any]:
    """`val_clips`: how many clips to validate on, else what `validation_sample` takes.

    `heard_backwards`: what the base writes for clips backwards, known already; gets the new ones.
    """
    import torch

    from moontune.evaluation.evaluate import evaluate
    from moontune.models.adapter import (
        adapter_state,
        attach_lora,
        save_adapter,
        save_processor,
        set_adapter_state,
        trainable_parameters,
    )
    from moontune.models.transcriber import load_audio
    from moontune.system.device import training_dtype
    from moontune.training.checkpoint import Keeper
    from moontune.training.loop import train
    from moontune.training.reversed_clips import backwards
    from moontune.training.sampling import mixed, spread

    base, used = load_base_for(run, config, group)
    own, val, replay = group.of_lead(
        lambda: (
            read_rows(run.manifest("train")),
            read_rows(run.manifest("val")),
            more_speech(run, "replay"),
        )
    )

    def wer(rows: list[Utterance]) -> float | None:
        return evaluate(base, rows, load_audio, cap=config.eval.token_cap, group=group).wer

    seed, dtype = config.output.seed, training_dtype(base.device, config.train.dtype)
    made_of = [version("moontune"), config.train, config.lora, config.general.replay_share]
    made_of += [config.eval.token_cap, seed, dtype, val_clips]
    rows = [manifest_hash(part) for part in (own, val, replay)]
    key = _digest(made_of, rows, base.origin.sha256, base.device, group.size)
    keeper = Keeper(run.checkpoint, key)
    saved = group.of_lead(lambda: _saved(keeper, run, ui))
    if saved is None:
        config, picks = _picked(config, own, val, wer, ui)
        known = {} if heard_backwards is None else heard_backwards
        written = _heard_backwards(base, own, config, known, group, ui)
        keeper.about = {"picks": [asdict(p) for p in picks], "backwards": written}
    else:
        keeper.about = saved.facts["about"]
        config = with_picks(config, map(Pick.from_row, keeper.about["picks"]))
        written = keeper.about["backwards"]
        ui.note(f"going on after update {saved.facts['progress']['step']}")
    turned = backwards(own, written)
    others = [(replay, config.general.replay_share)]
    if written:  # few that can be used have few places, or they were learnt by heart
        others.append((turned, config.train.backwards_share * len(turned) / len(written)))
        _say_backwards(turned, written, ui)
    validated = _validated(config, val, val_clips, ui)
    listened = spread(val, _LISTENED)
    said = _said(base, listened, config) if group.lead else []
    model = attach_lora(base, config.lora, seed)
    start = adapter_state(model)
    count = trainable_parameters(model)
    ui.note(f"{count:,} trainable parameters, matrix products in {dtype}")
    log = TrainingLog(run, saved.facts["log_bytes"] if saved else 0, config, ui, group)
    keeper.log_bytes = log.settled_bytes
    with log, finishing_first(_FINISHING, 2.0 if group.size > 1 else 0.0) as keeper.stopping:
        result = train(
            model,
            base,
            mixed(own, others, seed),
            validated,
            load_audio,
            config.train,
            seed,
            log,
            getattr(torch, dtype),
            group,
            lambda: wer(validated),
            keeper,
        )
    if not group.lead:
        return used
    wrong = collapsed(said, _said(base, listened, config))
    if wrong is not None:
        ui.note(
            f"remark: update {result.best_step} is not kept, though its loss is the least: {wrong}"
        )
        set_adapter_state(model, start)
        result = result.of_base()
    save_adapter(model, base, run.adapter, start)
    save_processor(base, run.processor)
    write_manifest(run.manifest("backwards"), turned)
    picks = keeper.about["picks"]
    summary = asdict(result) | {
        "trainable_parameters": count,
        "dtype": dtype,
        "val_utterances": len(validated),
        "processes": group.size,
        "heard_backwards": {"clips": len(turned), "empty": _empty(turned)},
        "picked": {p["name"]: p["value"] for p in picks},
        "why": {p["name"]: p["why"] for p in picks},
        "collapsed": wrong,
    }
    write_json(run / "train.json", summary)
    _say_result(result, ui)
    return used


def _saved(keeper: Keeper, run: RunDir, ui: Ui) -> State | None:
    """The state to go on from. One that cannot be taken up is said so of, and removed."""
    if not keeper.file.exists():
        return None
    state, why = keeper.saved(), "it is damaged, or of other settings"
    if state is not None and not _is_logged(run, state.facts["log_bytes"]):
        state, why = None, "its training log is not there as it was"
    if state is None:
        ui.note(f"remark: the saved state is not gone on with: {why}; training begins anew")
        keeper.file.unlink()
    return state


def _is_logged(run: RunDir, length_bytes: int) -> bool:
    """Whether the log is there as far as a state knows it."""
    file = run / "train_log.jsonl"
    if not file.is_file():
        return False
    told = file.read_bytes()[:length_bytes]
    try:
        return len(told) == length_bytes and all(json.loads(x) for x in told.splitlines())
    except ValueError:
        return False


def _heard_backwards(
    base: Base,
    own: list[Utterance],
    config: RunConfig,
    known: dict[str, str | None],
    group: Group,
    ui: Ui,
) -> dict[str, str | None]:
    """What the base writes for the clips chosen to be heard backwards; `known` gets what is new."""
    from moontune.training.reversed_clips import chosen, written_backwards

    some = chosen(own, config.train)
    new = [u for u in some if u.id not in known]
    if new:
        known |= written_backwards(base, new, config.eval.token_cap, group, ui.progress)
    return {u.id: known[u.id] for u in some}


def _empty(turned: list[Utterance]) -> int:
    return sum(not u.label for u in turned)


def _say_backwards(turned: list[Utterance], written: dict[str, str | None], ui: Ui) -> None:
    if not turned:
        ui.note("remark: no clip is heard backwards: the base comes to no end with any of them")
        return
    ui.note(
        f"against forgetting, {len(turned)} clips are heard backwards too, with what the base "
        f"writes for them, nothing for {_empty(turned)}"
    )


def _say_result(result: TrainResult, ui: Ui) -> None:
    ui.note(
        f"{result.stopped} after {result.steps} updates; kept step {result.best_step}, "
        f"validation loss {result.first_val_loss:.4f} -> {result.best_val_loss:.4f}"
    )
    if result.skipped:
        ui.note(f"remark: {result.skipped} updates were skipped for a non-finite loss or gradient")


def _said(base: Base, clips: list[Utterance], config: RunConfig) -> list[Transcript]:
    """What the model writes for some clips as it is now."""
    from moontune.models.transcriber import Transcriber, load_audio

    transcribe = Transcriber(base)
    return [transcribe([load_audio(u)], config.eval.token_cap)[0] for u in clips]


def _picked(
    config: RunConfig,
    own: list[Utterance],
    val: list[Utterance],
    wer: Callable[[list[Utterance]], float | None],
    ui: Ui,
) -> tuple[RunConfig, list[Pick]]:
    """The configuration with what was left open picked for the data, and said."""
    from moontune.training.sampling import spread

    base_wer = wer(spread(val, BASE_CLIPS)) if "lr" in open_settings(config) else None
    config, picks = pick(config, Data(len(own), base_wer))
    for p in picks:
        ui.note(f"{p.name} {setting_text(p.value)}: {p.why}")
    return config, picks


def _validated(
    config: RunConfig, val: list[Utterance], clips: int | None, ui: Ui
) -> list[Utterance]:
    """What to validate on: `clips` of the split, or as many as `validation_sample` takes."""
    from moontune.training.sampling import spread, validation_sample

    found = validation_sample(val, config.train) if clips is None else spread(val, clips)
    if len(found) < len(val):
        ui.note(f"validating on {len(found)} of the {len(val)} validation clips")
    return found


def _digest(*things: Any) -> str:
    """What tells a training from another."""
    return hashlib.sha256(repr(things).encode()).hexdigest()[:16]


class TrainingLog:
    """Takes in what happens: into the run's log, in the lead alone, and before the user's eyes."""

    def __init__(
        self, run: RunDir, begin_bytes: int, config: RunConfig, ui: Ui, group: Group
    ) -> None:
        """What an earlier process logged stays as far as `begin_bytes`; of it the validations are
        told again."""
        self._updates, self._ui = config.train.updates, ui
        file = run / "train_log.jsonl" if group.lead else os.devnull
        self._stream = open(file, "ab")  # noqa: SIM115
        if group.lead:
            self._stream.truncate(begin_bytes)
            for event in read_jsonl(run / "train_log.jsonl"):
                if event["event"] == "validation":
                    ui.training(event, self._updates)

    def __call__(self, event: dict[str, Any]) -> None:
        self._stream.write(json.dumps(event).encode() + b"\n")
        self._stream.flush()
        self._ui.training(event, self._updates)

    def settled_bytes(self) -> int:
        """How long the log is, all of it on the disk."""
        os.fsync(self._stream.fileno())
        return self._stream.tell()

    def __enter__(self) -> TrainingLog:
        return self

    def __exit__(self, *error: object) -> None:
        self._stream.close()
