"""The speed benchmark's other contender: moontune's own training loop and evaluation.

    uv run python -m benchmarks.speed.ours --task train --manifest my.jsonl --model-id DIR \\
        --out out.json

Only public functions: `attach_lora`, `train`, `evaluate`. The audio is decoded beforehand, as the
peer's is; validation is left to the untimed ends, on the shortest clip.
"""

from __future__ import annotations

import time
from typing import Any

import torch
import tyro

from benchmarks.speed.adapter import fill, peers_lora
from benchmarks.speed.machine import update_flops
from benchmarks.speed.work import UPDATE, Work, answer, in_order, preloaded
from moontune.config.schema import EvalConfig, TrainConfig
from moontune.data.manifest import read_manifest
from moontune.evaluation.evaluate import evaluate
from moontune.models.adapter import attach_lora
from moontune.models.base_model import Base, load_base, target_ids
from moontune.models.packed.front_end import FrontEnd
from moontune.system.threads.waiting import wait_well
from moontune.training.loop import TrainingSetup, train


def adapted(work: Work) -> tuple[Base, Any]:
    base = load_base(work.model_id, None, work.device)
    return base, attach_lora(base, peers_lora(work.sites), work.seed)


class Record:
    """Loss and wall seconds of every update, from one logged event to the next."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.seconds: list[float] = []
        self._last = 0.0

    def __call__(self, event: dict[str, Any]) -> None:
        now = time.perf_counter()
        if event["event"] == "update":
            self.losses.append(event["loss"])
            self.seconds.append(now - self._last)
        self._last = now


def run_train(work: Work) -> None:
    rows, _ = read_manifest(work.manifest)
    base, model = adapted(work)
    order, record = in_order(rows, work), Record()
    shortest = min(rows, key=lambda u: u.duration or 0.0)
    store = preloaded([*order, shortest])
    config = TrainConfig(
        batch_size=1,
        grad_accum=UPDATE,
        max_steps=work.updates,
        lr=work.lr,
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
    result = train(
        TrainingSetup(model, base, store, work.seed, getattr(torch, work.dtype)),
        iter(order),
        [shortest],
        config,
        on_event=record,
    )
    features = FrontEnd(base.net)
    eos = int(base.net.config.eos_token_id)  # type: ignore[arg-type]
    sizes = [
        (len(features(store(u))), len(target_ids(base.tokenizer, u.label, eos))) for u in order
    ]
    epochs = len(order) / len({u.id for u in order})
    answer(
        work,
        model,
        losses=record.losses,
        seconds=record.seconds,
        whole_s=result.seconds - result.seconds_validating,
        utterances=len(order),
        flops=[
            sum(
                update_flops(base.net.config, f, t, work.sites, epochs)
                for f, t in sizes[i : i + UPDATE]
            )
            for i in range(0, len(sizes), UPDATE)
        ],
    )


def run_evaluate(work: Work) -> None:
    rows, _ = read_manifest(work.manifest)
    base, model = adapted(work)
    fill(model, work.seed)
    store, cap = preloaded(rows), EvalConfig().token_cap
    evaluate(base, rows[:2], store, cap=cap)  # warm-up
    begun = time.perf_counter()
    done = evaluate(base, rows, store, cap=cap)
    answer(
        work,
        model,
        seconds=time.perf_counter() - begun,
        utterances=len(rows),
        tokens=[p.tokens for p in done.predictions],
        losses=[p.loss for p in done.predictions],
        targets=[p.target_tokens for p in done.predictions],
        wer=done.wer,
    )


if __name__ == "__main__":
    work = tyro.cli(Work, description=__doc__)
    wait_well()
    (run_train if work.task == "train" else run_evaluate)(work)
