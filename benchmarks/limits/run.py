"""How far each part of the program is from what the machine's matrix products would allow.

    uv run python -m benchmarks.limits.run
    uv run python -m benchmarks.limits.run --works training-decoder --dtypes float32

Three works, on one thread: updates of 8 clips by `train`, losses and greedy transcripts by
`evaluate`, and a recording through what `moontune transcribe` does once its model is loaded. By
part: floating-point operations of the matrix products that were run, the time they would take at
the machine's matrix peak in the type they ran in, and the time the part took. Time is the
processor's; of several rounds the one with the least counts, whole, so that parts add up. Rounds
without the ledger alternate with those that have it. Prints Markdown.
"""

from __future__ import annotations

import itertools
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import torch
import tyro

from benchmarks.limits.graphs import transcription
from benchmarks.limits.ledger import Account, CountFlops, Ledger, mean
from benchmarks.limits.packed import AUDIO, FRONT_END, Scopes
from benchmarks.paths import SHARED, default_model
from benchmarks.speed.adapter import fill
from benchmarks.speed.machine import matrix_peak
from benchmarks.speed.run import spread
from benchmarks.speed.work import ATTENTION, UPDATE, sentence_case
from moontune.config.schema import EvalConfig, LoraConfig, TrainConfig
from moontune.data.manifest import Utterance, read_manifest
from moontune.evaluation.evaluate import evaluate
from moontune.models.adapter import attach_lora
from moontune.models.base_model import load_base
from moontune.models.transcriber import load_audio
from moontune.system.device import training_dtype
from moontune.training.loop import TrainingSetup, train

Name = Literal["transcription", "evaluation", "training", "training-decoder"]
Dtype = Literal["bfloat16", "float32"]
ADAPTERS = {
    "training": LoraConfig(),
    "training-decoder": LoraConfig(lora_targets=ATTENTION, lora_part="decoder"),
}
_SEED = 42


@dataclass(frozen=True)
class Args:
    """Floating-point work, its time at the matrix peak and the time measured, by part."""

    manifest: Path = SHARED / "data" / "accented_english" / "manifest.jsonl"
    """JSONL manifest."""
    model_id: str = default_model()
    """The base, of type moonshine."""
    works: tuple[Name, ...] = get_args(Name)
    """training: the default adapter; training-decoder: attention of the decoder."""
    dtypes: tuple[Dtype, ...] = ()
    """Of training's matrix products; default: the one `--dtype auto` takes here, and float32."""
    updates: int = 4
    """Updates of 8 clips."""
    clips: int = 32
    """Clips to evaluate."""
    minutes: float = 1.0
    """Of the recording: clips of the manifest with pauses between them."""
    rounds: int = 5
    """Rounds of each kind; the one with the least time counts."""


@dataclass(frozen=True)
class Found:
    """What was counted of a work, and the seconds of the same without the ledger."""

    account: Account
    bare_s: float
    note: str = ""


def main(args: Args) -> None:
    torch.set_num_threads(1)
    rows = sentence_case(read_manifest(args.manifest)[0])
    auto = training_dtype("cpu", "auto")
    dtypes = args.dtypes or tuple(dict.fromkeys((auto, "float32")))
    peaks = {getattr(torch, name): 0.0 for name in (*dtypes, "float32")}
    measure(peaks)
    found: dict[str, Found] = {}
    for name in args.works:
        if name in ADAPTERS:
            for dtype in dtypes:
                found[f"{name}, {dtype}"] = training(args, rows, ADAPTERS[name], dtype)
        elif name == "evaluation":
            found[name] = evaluation(args, rows)
        else:
            found[name] = Found(*transcription(args.model_id, rows, args.minutes, args.rounds))
        measure(peaks)
    told = ", ".join(f"{p / 1e9:.0f} GFLOP/s in {str(d)[6:]}" for d, p in peaks.items())
    print(f"One thread; matrix peak: {told}.")
    for name, work in found.items():
        print(f"\n{name}\n\n{table(work, peaks)}")


def measure(peaks: dict[torch.dtype, float]) -> None:
    """The peak again: the most that was seen counts, whatever else ran meanwhile."""
    for dtype in peaks:
        peaks[dtype] = max(peaks[dtype], matrix_peak(dtype, clock=time.process_time))


def training(args: Args, rows: list[Utterance], lora: LoraConfig, dtype: str) -> Found:
    """The mean of the updates, each at its best; clips were met before."""
    count, wanted = args.updates, UPDATE * args.updates
    clips = spread(rows * -(-wanted // len(rows)), wanted)
    base = load_base(args.model_id, None, "cpu")
    model = attach_lora(base, lora, _SEED)
    ledger = Ledger()
    scopes = Scopes(ledger)
    kinds = ["first", *["bare", "timed"] * args.rounds, "counted"]
    plan = [kind for kind in kinds for _ in range(count)]
    accounts: list[Account] = []
    now = ExitStack()

    def prepare(kind: str) -> None:
        if kind != "bare":
            now.enter_context(scopes())
        if kind == "counted":
            now.enter_context(CountFlops(ledger))

    def after(event: dict[str, Any]) -> None:
        if event["event"] == "update":
            accounts.append(ledger.take())
            now.close()
        if len(accounts) < len(plan):
            prepare(plan[len(accounts)])
        ledger.take()

    def heard(u: Utterance) -> Any:
        with ledger.inside(AUDIO):
            return load_audio(u)

    config = TrainConfig(
        max_steps=len(plan), lr=1e-4, eval_every_steps=len(plan), early_stop_patience=0
    )
    setup = TrainingSetup(model, base, heard, _SEED, getattr(torch, dtype))
    train(setup, itertools.cycle(clips), rows[-1:], config, on_event=after)

    def least(kind: str, update: int) -> Account:
        places = range(update, len(plan), count)
        return min((accounts[i] for i in places if plan[i] == kind), key=lambda a: a.whole_s)

    best = {
        kind: [least(kind, update) for update in range(count)]
        for kind in ("bare", "timed", "counted")
    }
    first = [account for account, kind in zip(accounts, plan, strict=True) if kind == "first"]
    once = {part: sum(a.seconds[part] for a in first) / count * 1e3 for part in (AUDIO, FRONT_END)}
    note = (
        f"In the first epoch beside it: reading audio {once[AUDIO]:.0f} ms, the front end "
        f"{once[FRONT_END]:.0f} ms."
    )
    bare_s = sum(account.whole_s for account in best["bare"]) / count
    return Found(mean(best["timed"], best["counted"]), bare_s, note)


def evaluation(args: Args, rows: list[Utterance]) -> Found:
    """All clips, once, of the round that took least."""
    clips = spread(rows, args.clips)
    base = load_base(args.model_id, None, "cpu")
    fill(attach_lora(base, LoraConfig(), _SEED), _SEED)
    ledger = Ledger()
    scopes = Scopes(ledger)

    def heard(u: Utterance) -> Any:
        with ledger.inside(AUDIO):
            return load_audio(u)

    def once() -> Account:
        ledger.take()
        evaluate(base, clips, heard, cap=EvalConfig().token_cap)
        return ledger.take()

    bare, timed = [], []
    once()
    for _ in range(args.rounds):
        bare.append(once().whole_s)
        with scopes():
            timed.append(once())
    with scopes(), CountFlops(ledger):
        counted = once()
    return Found(mean([min(timed, key=lambda a: a.whole_s)], [counted]), min(bare))


def table(found: Found, peaks: dict[torch.dtype, float]) -> str:
    """Parts by the time beyond their limit, most first; small ones without products as one."""
    account, limits = found.account, found.account.limits_s(peaks)
    flops = account.limits_s(dict.fromkeys(peaks, 1.0))
    small = [p for p, s in account.seconds.items() if p not in flops and s < account.whole_s / 100]
    parts = sorted(
        {*account.seconds, *flops} - {*small}, key=lambda p: limits[p] - account.seconds[p]
    )
    lines = ["| part | GFLOP | at the peak, ms | measured, ms | of the peak |", "|---" * 5 + "|"]
    for part in parts:
        lines.append(row(": ".join(part), flops[part], limits[part], account.seconds[part]))
    others_s = sum(account.seconds[part] for part in small)
    lines.append(row("all parts under 1 %, without products", 0, 0, others_s))
    lines.append(row("all", sum(flops.values()), sum(limits.values()), account.whole_s))
    lines.append(f"| without the ledger | | | {found.bare_s * 1e3:.0f} | |")
    return "\n".join(lines + ([f"\n{found.note}"] if found.note else []))


def row(name: str, flops: float, limit_s: float, seconds: float) -> str:
    if not flops:
        return f"| {name} | | | {seconds * 1e3:.1f} | |"
    share = f"{limit_s / seconds:.0%}"
    return f"| {name} | {flops / 1e9:.2f} | {limit_s * 1e3:.1f} | {seconds * 1e3:.1f} | {share} |"


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
