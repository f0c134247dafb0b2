"""What one process and two do alike: run in a process of each, compared by test_parallel."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from moontune.config.schema import LoraConfig, TokenCap, TrainConfig
from moontune.data.manifest import Utterance, read_manifest
from moontune.evaluation.evaluate import evaluate
from moontune.models.adapter import adapter_state, attach_lora
from moontune.models.base_model import Base, load_base
from moontune.models.transcriber import load_audio
from moontune.system.distributed import SINGLE, ProcessGroup, init_from_launcher
from moontune.training import loop
from moontune.training.losses import LossComputer
from moontune.training.reversed_clips import base_transcripts_reversed
from moontune.training.sampling import shuffled

UPDATES = 6
CASES = {  # name -> batch size
    "even": 4,
    "odd": 3,
    "one": 1,
    "unusable": 2,
}
BROKEN = "c3"  # a clip that gives no finite loss, in the case `unusable`


def trained(model: str, rows: list[Utterance], case: str, group: ProcessGroup) -> dict[str, Any]:
    """One short training: its log, what it kept, and the clips this process computed."""
    used: list[str] = []

    class Watched(LossComputer):
        def passes(self, utterances, labels):
            if torch.is_grad_enabled():
                used.extend(u.id for u in utterances)
            return super().passes(utterances, labels)

    def load(u: Utterance) -> np.ndarray:
        samples = load_audio(u)
        return samples * np.nan if (case, u.id) == ("unusable", BROKEN) else samples

    base = load_base(model, None, "cpu")
    # Each process draws another adapter: all must start from the lead's.
    lora = LoraConfig(lora_r=8, lora_alpha=16, lora_dropout=0.0, lora_targets=("q_proj", "o_proj"))
    adapted = attach_lora(base, lora, seed=3 + group.rank)
    config = TrainConfig(
        batch_size=CASES[case],
        grad_accum=1,
        max_steps=UPDATES,
        eval_every_steps=3,
        warmup_steps=1,
        lr=5e-3,
        token_dropout=0.0,
    )
    log: list[dict[str, Any]] = []
    loop.LossComputer = Watched
    try:
        stream = shuffled(rows[:12], 7)
        setup = loop.TrainingSetup(adapted, base, load, 7, group=group)
        result = loop.train(setup, stream, rows[12:17], config, on_event=log.append)
    finally:
        loop.LossComputer = LossComputer
    return {
        "log": log,
        "used": used,
        "adapter": adapter_state(adapted),
        "result": dataclasses.asdict(result),
    }


def evaluated(
    base: Base, rows: list[Utterance], cap: TokenCap, group: ProcessGroup
) -> dict[str, Any]:
    """The measurement of enough clips for several batches."""
    done = evaluate(base, rows, load_audio, cap=cap, group=group)
    return {"summary": done.summary(), "predictions": [p.row() for p in done.predictions]}


def everything(model: str, manifest: Path, group: ProcessGroup = SINGLE) -> dict[str, Any]:
    rows, _ = read_manifest(manifest)
    found = {case: trained(model, rows, case, group) for case in CASES}
    many = [replace(u, id=f"{u.id}-{n}") for n in range(3) for u in rows]
    cap, base = TokenCap(4.0, 2), load_base(model, None, "cpu")
    return found | {
        "evaluation": evaluated(base, many, cap, group),
        "backwards": base_transcripts_reversed(base, many, cap, group),
    }


if __name__ == "__main__":
    model, manifest, output = sys.argv[1:]
    torch.set_num_threads(1)
    group = init_from_launcher()
    torch.save(everything(model, Path(manifest), group), f"{output}.{group.rank}")
    group.end(0)
