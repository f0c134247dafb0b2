"""Speed on a device against the usual programs: training with adapters in both halves and in the
decoder alone, in bfloat16 and float32, and evaluation.

Both contenders are those of `benchmarks.speed`, in one process here and in turns, the peer in the
same type. Shares of the peak count useful arithmetic only.
"""

from __future__ import annotations

import gc
import json
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
import transformers

from benchmarks.gpu.common import SEED, Answer, Setting, begin
from benchmarks.speed import ours, peer_evaluate, peer_trainer
from benchmarks.speed.machine import matrix_peak
from benchmarks.speed.work import UPDATE, Work
from moontune.data.manifest import write_manifest

WARM_UP = 2  # updates of the peer's
ROUNDS = {"cuda": 3, "mps": 3, "cpu": 1}
TIMED = {"cuda": 12, "mps": 12, "cpu": 4}  # updates of the peer's
APART = {"float32": 1e-3, "bfloat16": 0.1}  # nats an update, of the two programs' losses
EPOCHS = {"both": 7, "decoder": 10}


def done(program: Any, work: Work) -> dict[str, Any]:
    """A contender's answer."""
    gc.collect()
    if work.device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    program(work)
    return json.loads(work.out.read_text(encoding="utf-8"))


def training(work: Work, rounds: int, peak: float) -> tuple[dict[str, Any], bool, str]:
    """Ours timed whole, the peer over some updates after two to warm up."""
    timed = slice(WARM_UP, WARM_UP + TIMED[work.device])
    clips = len(work.manifest.read_text().splitlines()) // UPDATE * UPDATE
    rates: list[tuple[float, float]] = []
    memory: tuple[float, float] | None = None
    share = apart = 0.0
    for _ in range(rounds):
        peer = done(peer_trainer.train, replace(work, updates=timed.stop))
        own = done(ours.run_train, replace(work, updates=EPOCHS[work.sites] * clips // UPDATE))
        span = sum(peer["seconds"][timed])
        rates.append((TIMED[work.device] * UPDATE / span, own["utterances"] / own["whole_s"]))
        memory = _memory(work, peer, own)
        share = sum(own["flops"]) / own["whole_s"] / peak
        apart = max(abs(a - b) for a, b in zip(peer["losses"], own["losses"], strict=False))
    figures = _rates(rates) | {"memory_mib": memory, "share_of_peak": share, "losses_apart": apart}
    bound = APART[work.dtype]
    text = f"; {100 * share:.1f} % of the peak, losses {apart:.1e} apart (at most {bound:g})"
    return figures, apart <= bound, _said(figures) + text


def evaluation(work: Work, rounds: int) -> tuple[dict[str, Any], str]:
    rates: list[tuple[float, float]] = []
    other = 0
    memory: tuple[float, float] | None = None
    for _ in range(rounds):
        peer = done(peer_evaluate.evaluate, work)
        own = done(ours.run_evaluate, work)
        rates.append((peer["utterances"] / peer["seconds"], own["utterances"] / own["seconds"]))
        memory = _memory(work, peer, own)
        other = sum(a != b for a, b in zip(peer["tokens"], own["tokens"], strict=True))
    figures = _rates(rates) | {"memory_mib": memory, "other_transcripts": other}
    return figures, f"{_said(figures)}; {other} of {len(own['tokens'])} transcripts differ"


def _memory(work: Work, peer: dict, own: dict) -> tuple[float, float] | None:
    """The most of the card's memory, MiB. Of a CPU's one process both have the same peak."""
    return (peer["peak_mib"], own["peak_mib"]) if work.device == "cuda" else None


def _rates(rates: list[tuple[float, float]]) -> dict[str, Any]:
    """Clips a second of both, and the ratios of the rounds."""
    peer, own = (median(rate) for rate in zip(*rates, strict=True))
    return {"peer": peer, "ours": own, "ratios": [b / a for a, b in rates]}


def _said(figures: dict[str, Any]) -> str:
    ratios, memory = figures["ratios"], figures["memory_mib"]
    spread = f" ({min(ratios):.2f}-{max(ratios):.2f})" if len(ratios) > 1 else ""
    card = f", {memory[1]:.0f} for {memory[0]:.0f} MiB of the card" if memory else ""
    return (
        f"{median(ratios):.2f} times{spread}: {figures['ours']:.1f} for {figures['peer']:.1f} "
        f"clips/s{card}"
    )


def contest(setting: Setting, answer: Answer) -> None:
    transformers.logging.set_verbosity_error()
    rows, _ = setting.clips()
    folder = answer.out.parent
    manifest = folder / "contest.jsonl"
    write_manifest(manifest, rows)
    work = Work("train", manifest, str(setting.model), folder / "answer.json", seed=SEED)
    work = replace(work, device=setting.device)
    few = Path(folder / "few.jsonl")
    write_manifest(few, rows[:UPDATE])
    done(peer_trainer.train, replace(work, manifest=few, updates=2))  # to warm up
    done(ours.run_train, replace(work, manifest=few, updates=2))
    peaks = {name: _peak(setting.device, name) for name in ("bfloat16", "float32")}
    answer.figures["peaks"] = peaks
    rounds = ROUNDS[setting.device]
    answer.check(
        "matrix peak",
        None,
        ", ".join(f"{peak / 1e12:.2f} TFLOP/s in {name}" for name, peak in peaks.items()),
    )
    for dtype in ("float32",) if setting.device == "mps" else ("bfloat16", "float32"):
        for sites, where in (("both", "both halves"), ("decoder", "the decoder")):
            part = replace(work, sites=sites, dtype=dtype, peer_dtype=dtype)
            figures, ok, said = training(part, rounds, peaks[dtype])
            name = f"training of {where}, {dtype}"
            answer.figures[name] = figures
            answer.check(name, ok, said)
    figures, said = evaluation(replace(work, task="evaluate"), rounds)
    answer.figures["evaluation"] = figures
    few = len(rows) // 50  # at a tie of two tokens either may be written
    answer.check("evaluation, float32", figures["other_transcripts"] <= few, said)


def _peak(device: str, name: str) -> float:
    return matrix_peak(getattr(torch, name), device)


if __name__ == "__main__":
    contest(*begin())
