"""As many threads as processors are free, the same ones to the end of a run."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from moontune.config.schema import RunConfig
from moontune.pipeline import runner
from moontune.pipeline.run_folder.creating import create_run
from moontune.pipeline.stages import stage_named
from moontune.system.device import Device
from moontune.system.distributed import SINGLE
from moontune.system.threads import processors as threads
from moontune.system.threads.processors import THREADS_ASKED, Threads, free_threads


@pytest.mark.parametrize(
    ("machine", "processors", "busy", "count"),
    [
        *((1, 1, 0.0, 1), (2, 2, 0.0, 2), (2, 2, 0.2, 2), (2, 2, 0.9, 1), (2, 2, 2.0, 1)),
        *((8, 8, 1.1, 7), (8, 8, 2.4, 5)),
        # A share of a large machine, whose other processors are enough for the others.
        *((64, 4, 50.0, 4), (64, 4, 62.0, 2), (64, 1, 64.0, 1)),
    ],
)
def test_threads_are_for_processors_that_others_leave(
    monkeypatch, machine, processors, busy, count
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: machine)
    monkeypatch.setattr(threads, "usable_processors", lambda: processors)
    monkeypatch.setattr(threads, "_busy_for_a_moment", lambda: busy)
    found = free_threads()
    assert (found.count, found.processors) == (count, processors)
    assert bool(found.why) == (count < processors)
    if found.why:
        assert found.why.startswith(f"computing on {count} of {processors} processors, ")


def test_what_is_over_in_a_moment_takes_no_thread(monkeypatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(threads, "usable_processors", lambda: 8)
    busy = iter([6.0, 1.1, 3.0])
    monkeypatch.setattr(threads, "_busy_for_a_moment", lambda: next(busy))
    assert free_threads() == Threads(7, 8)


def test_another_program_at_work_is_seen() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        try:
            assert max(threads._busy_for_a_moment() for _ in range(8)) > 0.3
        finally:
            other.kill()


@pytest.mark.parametrize(
    ("said", "limit"),
    [("max 100000", math.inf), ("150000 100000", 1.5), ("50000 100000", 0.5), ("x", math.inf)],
)
def test_what_a_container_grants_counts(tmp_path, monkeypatch, said, limit) -> None:
    (tmp_path / "cpu.max").write_text(f"{said}\n", encoding="ascii")
    assert threads._quota(tmp_path) == limit
    assert threads._quota(tmp_path / "none") == math.inf
    monkeypatch.setattr(threads, "_CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert threads.usable_processors() == (8 if math.isinf(limit) else max(1, math.ceil(limit)))


@pytest.mark.parametrize(
    ("quota", "period", "limit"),
    [("-1", "100000", math.inf), ("150000", "100000", 1.5), ("0", "0", math.inf)],
)
def test_a_container_of_the_first_control_groups_counts_too(tmp_path, quota, period, limit) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text(f"{quota}\n", encoding="ascii")
    assert threads._quota(tmp_path) == math.inf
    (tmp_path / "cpu/cpu.cfs_period_us").write_text(f"{period}\n", encoding="ascii")
    assert threads._quota(tmp_path) == limit


class Notes:
    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, line: str) -> None:
        self.said.append(line)


@pytest.fixture
def computing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Threads that a stage of a run computes with, where so many are free."""
    for name in THREADS_ASKED:
        monkeypatch.delenv(name, raising=False)
    run = create_run(RunConfig(), tmp_path / "r", "r", ["run"])
    ui: Any = Notes()

    def with_free(
        count: int, folder: Any = run, group: Any = SINGLE, of: int = 4, device: str = "cpu"
    ) -> int:
        monkeypatch.setattr(runner, "choose_device", lambda _: Device(device, ""))
        monkeypatch.setattr(runner, "free_threads", lambda: Threads(count, of))
        monkeypatch.setattr(runner, "usable_processors", lambda: of)
        with runner._threads(folder, RunConfig(), stage_named("train"), ui, group):
            return torch.get_num_threads()

    return SimpleNamespace(run=run, said=ui.said, threads=with_free)


def test_a_run_keeps_the_threads_it_began_with(computing) -> None:
    before = torch.get_num_threads()
    assert computing.threads(3) == 3
    assert computing.said == [Threads(3, 4).why]
    assert computing.threads(1) == 3
    assert "3 of 4 processors compute, as when it began" in computing.said[1]
    assert computing.threads(1, of=3) == 3
    assert len(computing.said) == 2
    assert computing.threads(1, of=2) == 2  # another machine has no more
    assert torch.get_num_threads() == before


def test_on_a_gpu_nothing_is_said_of_processors(computing) -> None:
    assert [computing.threads(n, device="cuda") for n in (3, 1)] == [3, 3]
    assert computing.said == []


def test_folds_have_those_of_their_cross_validation(computing) -> None:
    one, other = (
        create_run(RunConfig(), computing.run.path / name, name, ["run"])
        for name in ("fold-1", "fold-2")
    )
    assert computing.threads(2, one) == 2
    assert computing.threads(4, other) == 2
    assert "threads" not in one.record()


@pytest.mark.parametrize("name", THREADS_ASKED)
def test_what_the_user_says_comes_first(computing, monkeypatch, name) -> None:
    before = torch.get_num_threads()
    monkeypatch.setenv(name, "2")
    assert computing.threads(3) == before
    assert computing.threads(3, group=SimpleNamespace(size=2)) == before
    assert "threads" not in computing.run.record()
