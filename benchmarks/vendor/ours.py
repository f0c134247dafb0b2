"""moontune's own training loop on the work of the vendor's tuner; `run.py` starts it.

    uv run python -m benchmarks.vendor.ours WORK.json

The adapter sits on the layers that the vendor's does, by peft; the clips of each update are those
that the vendor's tuner took.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model

from benchmarks.speed.work import peak_mib, preloaded
from moontune.config.schema import TrainConfig
from moontune.data.manifest import read_manifest
from moontune.models.adapter import trainable_parameters
from moontune.models.base_model import load_base
from moontune.training.loop import TrainingSetup, train

HALVES = {"decoder": "decoder", "encoder": "encoder", "both": "(encoder|decoder)"}


class Record:
    """Loss of every update, and seconds of the processor when it ended."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.ended: list[float] = []

    def __call__(self, event: dict[str, Any]) -> None:
        if event["event"] == "update":
            self.losses.append(event["loss"])
            self.ended.append(time.process_time())


def lora(work: dict[str, Any]) -> LoraConfig:
    """Self-attention's queries, keys and values, as the vendor's tuner adapts them."""
    return LoraConfig(
        task_type=None,
        r=work["rank"],
        lora_alpha=work["alpha"],
        lora_dropout=0.0,
        target_modules=rf".*\b{HALVES[work['sites']]}\.layers\.\d+\.self_attn\.[qkv]_proj",
    )


def tuned(work: dict[str, Any]) -> dict[str, Any]:
    rows, _ = read_manifest(Path(work["manifest"]))
    base = load_base(work["model"], None, "cpu")
    torch.manual_seed(work["seed"])
    model: Any = get_peft_model(base.net, lora(work))
    order = [rows[i] for group in work["groups"] for i in group]
    shortest = min(rows, key=lambda u: u.duration or 0.0)
    config = TrainConfig(
        batch_size=1,
        grad_accum=work["batch_size"],
        max_steps=len(work["groups"]),
        lr=work["lr"],
        lr_schedule="constant",
        warmup_steps=0,
        ema_decay=0.0,
        wise_ft=1.0,
        token_dropout=0.0,
        max_grad_norm=1.0,
        weight_decay=0.0,
        eval_every_steps=1_000_000,
        early_stop_patience=0,
    )
    record = Record()
    setup = TrainingSetup(model, base, preloaded(rows), work["seed"], getattr(torch, work["dtype"]))
    train(setup, iter(order), [shortest], config, on_event=record)
    return {
        "losses": record.losses,
        "ended": record.ended,
        "adapted": trainable_parameters(model),
        "peak_mib": peak_mib(),
        "threads": torch.get_num_threads(),
    }


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(given["out"]).write_text(json.dumps(tuned(given)), encoding="utf-8")
