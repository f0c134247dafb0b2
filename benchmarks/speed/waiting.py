"""What an update takes by the way in which threads wait for one another, alone and beside others.

    uv run python -m benchmarks.speed.waiting
    uv run python -m benchmarks.speed.waiting --dtypes float32 --beside nothing,program

Updates of the default adapter, 8 clips each, in a fresh process: on one thread; on all, spinning
always; on all, giving processors away always; and on all, watched as in every `moontune` command.
Beside it nothing, a program that keeps one processor busy (the whole time or half of it), or the
same process a second time. Prints Markdown: milliseconds an update, the median of the rounds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import tyro

from benchmarks.paths import ROOT, SHARED, default_model
from benchmarks.speed.work import UPDATE, preloaded, sentence_case
from moontune.config.schema import RunConfig
from moontune.data.manifest import read_manifest
from moontune.system.device import training_dtype
from moontune.system.threads.processors import THREADS_ASKED
from moontune.system.threads.waiting import WAITING_ASKED, wait_well

POLICIES: dict[str, dict[str, str]] = {
    "one thread": {"OMP_NUM_THREADS": "1"},
    "always spinning": {"GOMP_SPINCOUNT": "300000"},  # libgomp's own number
    "always giving way": {"OMP_WAIT_POLICY": "PASSIVE"},
    "watched": {},
}
BESIDE = ("nothing", "half", "program", "itself")
BUSY = """
import time
while True:
    until = time.perf_counter() + {busy}
    while time.perf_counter() < until: pass
    time.sleep({idle})
"""


@dataclass(frozen=True)
class Args:
    """What an update takes by the way in which threads wait."""

    manifest: Path = SHARED / "data" / "accented_english" / "manifest.jsonl"
    """JSONL manifest."""
    model_id: str = default_model()
    """The base."""
    dtypes: str | None = None
    """Default: float32, and bfloat16 where the processor has units for it."""
    beside: str = ",".join(BESIDE)
    """What else is at work, separated by commas."""
    seconds: float = 10.0
    """For which each process computes."""
    rounds: int = 2
    """Times that each row is measured, in turns."""
    worker: str | None = None
    """A process of this benchmark: the dtype that it computes in."""


def compute(args: Args, dtype: str) -> None:
    """Updates for so many seconds; prints the milliseconds of one."""
    wait_well()
    import torch

    from moontune.models.adapter import attach_lora
    from moontune.models.base_model import load_base
    from moontune.training.losses import LossComputer

    clips = sentence_case(read_manifest(args.manifest)[0])[::11][: 4 * UPDATE]
    store = preloaded(clips)
    base = load_base(args.model_id, None, "cpu")
    attach_lora(base, RunConfig().lora, 42)
    base.net.train()
    losses = LossComputer(base, store, getattr(torch, dtype))
    parts = [clips[i : i + UPDATE] for i in range(0, len(clips), UPDATE)]

    def updates() -> None:
        for part in parts:
            for of_tokens in losses.passes(part, losses.labels(part)):
                of_tokens.sum().backward()

    updates()  # what is done once, and the watch's first looks
    begun, count = time.perf_counter(), 0
    while (lasted := time.perf_counter() - begun) < args.seconds or not count:
        updates()
        count += len(parts)
    print(1000 * lasted / count)


def start(words: list[str], env: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *words], env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True
    )


@contextmanager
def others(beside: str, worker: list[str], env: dict[str, str]) -> Iterator[None]:
    """Whatever else is at work, while this block is."""
    busy, idle = {"half": (0.05, 0.05), "program": (1.0, 0.0)}.get(beside, (0.0, 0.0))
    if beside == "nothing":
        yield
        return
    words = ["-c", BUSY.format(busy=busy, idle=idle)] if busy else worker
    other = start(words, env)
    try:
        yield
    finally:
        other.kill()
        other.communicate()


def measure(args: Args, dtype: str, beside: str, policy: str) -> float:
    """Milliseconds an update."""
    asked = (*WAITING_ASKED, *THREADS_ASKED)
    env = {k: v for k, v in os.environ.items() if k not in asked} | POLICIES[policy]
    words = ["-m", "benchmarks.speed.waiting", "--worker", dtype, "--model-id", args.model_id]
    words += ["--manifest", str(args.manifest.resolve()), "--seconds"]
    longer = [*words, str(10 * args.seconds + 60)]  # than what it stands beside
    with others(beside, longer, env):
        done = start([*words, str(args.seconds)], env)
        out, _ = done.communicate()
    if done.returncode:
        raise SystemExit(f"{policy}, {beside}: the process failed")
    return float(out)


def main(args: Args) -> None:
    usual = ["float32"] + ["bfloat16"] * (training_dtype("cpu", "auto") == "bfloat16")
    dtypes = args.dtypes.split(",") if args.dtypes else usual
    besides = args.beside.split(",")
    print(f"| dtype | threads | {' | '.join(f'beside {b}' for b in besides)} |")
    print("|---|---|" + "---|" * len(besides))
    for dtype in dtypes:
        found: dict[tuple[str, str], list[float]] = {}
        for _ in range(args.rounds):
            for beside in besides:
                for policy in POLICIES:
                    row = found.setdefault((policy, beside), [])
                    row.append(measure(args, dtype, beside, policy))
        for policy in POLICIES:
            cells = (f"{median(found[policy, b]):.0f}" for b in besides)
            print(f"| {dtype} | {policy} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    given = tyro.cli(Args, description=__doc__)
    if given.worker:
        compute(given, given.worker)
    else:
        main(given)
