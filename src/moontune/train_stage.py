"""The training stage: settings picked, the adapter trained, what was kept written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from moontune.config import RunConfig
from moontune.facts import plain
from moontune.files import write_json
from moontune.general_speech import more_speech
from moontune.manifest import Utterance, read_rows
from moontune.model_stages import load_for_stage
from moontune.parallel import SOLO, Group
from moontune.picks import BASE_CLIPS, Data, Pick, open_settings, pick
from moontune.rundir import RunDir
from moontune.stage_ui import Ui


def train_stage(
    run: RunDir,
    config: RunConfig,
    ui: Ui,
    group: Group = SOLO,
    val_clips: int | None = None,
) -> dict[str, Any]:
    """`val_clips`: how many clips to validate on, else what `validation_sample` takes."""
    import torch

    from moontune.adapter import (
        adapter_state,
        attach_lora,
        save_adapter,
        save_processor,
        trainable_parameters,
    )
    from moontune.device import training_dtype
    from moontune.evaluate import evaluate
    from moontune.train import mixed, train
    from moontune.transcribe import load_audio

    used: dict[str, Any] = {}
    base = load_for_stage(run, config, used, group)
    own, val, replay = group.of_lead(
        lambda: (
            read_rows(run.manifest("train")),
            read_rows(run.manifest("val")),
            more_speech(run, "replay"),
        )
    )

    def wer(rows: list[Utterance]) -> float | None:
        return evaluate(base, rows, load_audio, cap=config.eval.token_cap, group=group).wer

    config, picks = _picked(config, own, val, wer, ui)
    validated = _validated(config, val, val_clips, ui)
    seed = config.output.seed
    model = attach_lora(base, config.lora, seed)
    start = adapter_state(model) if config.lora.lora_variant == "pissa" else None
    count = trainable_parameters(model)
    dtype = training_dtype(base.device, config.train.dtype)
    ui.note(f"{count:,} trainable parameters, matrix products in {dtype}")
    with _training_log(run, config, ui, group) as log:
        result = train(
            model,
            base,
            mixed(own, replay, config.general.replay_share, seed),
            validated,
            load_audio,
            config.train,
            seed,
            log,
            getattr(torch, dtype),
            group,
            lambda: wer(validated),
        )
    if not group.lead:
        return used
    save_adapter(model, base, run.adapter, start)
    save_processor(base, run.processor)
    summary = asdict(result) | {
        "trainable_parameters": count,
        "dtype": dtype,
        "val_utterances": len(validated),
        "processes": group.size,
        "picked": {p.name: p.value for p in picks},
        "why": {p.name: p.why for p in picks},
    }
    write_json(run / "train.json", summary)
    ui.note(
        f"{result.stopped} after {result.steps} updates; kept step {result.best_step}, "
        f"validation loss {result.first_val_loss:.4f} -> {result.best_val_loss:.4f}"
    )
    if result.skipped:
        ui.note(f"remark: {result.skipped} updates were skipped for a non-finite loss or gradient")
    return used


def _picked(
    config: RunConfig,
    own: list[Utterance],
    val: list[Utterance],
    wer: Callable[[list[Utterance]], float | None],
    ui: Ui,
) -> tuple[RunConfig, list[Pick]]:
    """The configuration with what was left open picked for the data, and said."""
    from moontune.train import spread

    base_wer = wer(spread(val, BASE_CLIPS)) if "lr" in open_settings(config) else None
    config, picks = pick(config, Data(len(own), base_wer))
    for p in picks:
        ui.note(f"{p.name} {plain(p.value)}: {p.why}")
    return config, picks


def _validated(
    config: RunConfig, val: list[Utterance], clips: int | None, ui: Ui
) -> list[Utterance]:
    """What to validate on: `clips` of the split, or as many as `validation_sample` takes."""
    from moontune.train import spread, validation_sample

    found = validation_sample(val, config.train) if clips is None else spread(val, clips)
    if len(found) < len(val):
        ui.note(f"validating on {len(found)} of the {len(val)} validation clips")
    return found


@contextmanager
def _training_log(
    run: RunDir, config: RunConfig, ui: Ui, group: Group
) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Takes in what happens: into the run's log, in the lead alone, and before the user's eyes."""
    file = run / "train_log.jsonl" if group.lead else os.devnull
    with open(file, "w", encoding="utf-8") as stream:

        def log(event: dict[str, Any]) -> None:
            stream.write(json.dumps(event) + "\n")
            stream.flush()
            ui.training(event, config.train.updates)

        yield log
