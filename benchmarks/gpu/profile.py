"""Where a GPU waits in an update of moontune's training: kernels, gaps, copies, synchronisations.

An update of 8 clips with adapters in both halves, after every clip was met. On a CPU there are no
kernels to wait for; `benchmarks.speed.profile_update` says there where the time goes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.gpu.common import Answer, Setting, adapted, begin
from benchmarks.speed.machine import synchronize
from benchmarks.speed.work import UPDATE
from moontune.data.manifest import Utterance
from moontune.system.device import training_dtype
from moontune.system.distributed import SINGLE
from moontune.training import loop
from moontune.training.losses import LossComputer
from moontune.training.objectives.likelihood import Likelihood

UPDATES = 8
LISTED = 6
CALLS = {
    "launches": ("cudaLaunchKernel", "cuLaunchKernel"),
    "synchronisations": ("Synchronize",),
    "copies": ("cudaMemcpy",),
}


def gaps(events: Sequence[Any]) -> tuple[float, float, list[tuple[float, str]]]:
    """Microseconds from the first kernel to the last, those without one, and the longest waits,
    each with the CPU's innermost operator in its middle."""
    kernels = sorted(
        (e.time_range.start, e.time_range.end)
        for e in events
        if e.device_type.name == "CUDA" and e.time_range.end > e.time_range.start
    )
    on_cpu = [e for e in events if e.device_type.name == "CPU"]
    waits: list[tuple[float, float]] = []
    end = kernels[0][0]
    for start, stop in kernels:
        if start > end:
            waits.append((start - end, (start + end) / 2))
        end = max(end, stop)
    found = []
    for length, middle in sorted(waits, reverse=True)[:LISTED]:
        over = [e for e in on_cpu if e.time_range.start <= middle <= e.time_range.end]
        inner = min(over, key=lambda e: e.time_range.end - e.time_range.start, default=None)
        found.append((length, inner.name if inner else "Python"))
    return end - kernels[0][0], sum(length for length, _ in waits), found


def check(setting: Setting, answer: Answer) -> None:
    rows, audio = setting.clips()
    clips = rows[: len(rows) // UPDATE * UPDATE]
    base, adapter = adapted(setting.model, setting.device)
    dtype = training_dtype(setting.device, "auto")
    computer = LossComputer(base, audio, getattr(torch, dtype))
    objective = Likelihood(computer)
    parameters = [p for p in adapter.parameters() if p.requires_grad]

    def update(i: int) -> None:
        part: list[Utterance] = [clips[(i * UPDATE + k) % len(clips)] for k in range(UPDATE)]
        loop._accumulate(objective, computer, part, parameters, SINGLE)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        for p in parameters:
            p.grad = None

    def seconds() -> float:
        synchronize(setting.device)
        begun = time.perf_counter()
        for i in range(UPDATES):
            update(i)
        synchronize(setting.device)
        return (time.perf_counter() - begun) / UPDATES

    seconds()
    whole_ms = 1000 * seconds()
    answer.figures["update_ms"] = whole_ms
    if setting.device != "cuda":
        answer.check("an update", None, f"{whole_ms:.1f} ms, {dtype}; no kernels to look between")
        return
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled:
        for i in range(UPDATES):
            update(i)
        synchronize(setting.device)
    events = profiled.events()
    span, idle, longest = gaps(events)  # type: ignore[arg-type]
    counts = {
        kind: sum(any(name in e.name for name in names) for e in events) / UPDATES  # type: ignore[union-attr]
        for kind, names in CALLS.items()
    }
    busy_ms = (span - idle) / 1000 / UPDATES
    answer.figures |= {
        "busy_ms": busy_ms,
        "idle_share_profiled": idle / span,
        "calls": counts,
        "longest_gaps_us": longest,
        "kernels": _kernels(profiled),
    }
    said = ", ".join(f"{count:.0f} {kind}" for kind, count in counts.items())
    answer.check(
        "an update",
        None,
        f"{whole_ms:.1f} ms, {dtype}, of which kernels run {busy_ms:.1f}; {said}",
    )
    listed = ", ".join(f"{length:.0f} us {name}" for length, name in longest)
    answer.check("longest gaps between kernels", None, listed)


def _kernels(profiled: Any) -> list[tuple[str, float, float]]:
    """The kernels that take longest: name, microseconds and calls an update."""
    rows = [e for e in profiled.key_averages() if e.device_type.name == "CUDA"]
    rows.sort(key=lambda e: -e.self_device_time_total)
    return [(e.key[:80], e.self_device_time_total / UPDATES, e.count / UPDATES) for e in rows[:15]]


if __name__ == "__main__":
    check(*begin())
