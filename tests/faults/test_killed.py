"""A run that is killed, at whatever moment, is gone on with and ends as if it had not been."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from builders import flags
from run_outcome import left

WORKER = Path(__file__).parents[1] / "support/kill_worker.py"
KILLS = 15  # of each of two series of runs


@dataclass(frozen=True)
class Worker:
    """The process that the runs are forked from."""

    process: subprocess.Popen[str]
    words: list[str]

    def __call__(self, folder: Path, kills: list[int], share: float) -> dict[str, Any]:
        """Runs, one after the other, killed before each of these numbers of file operations and
        gone on with, until all of the kills were used and the last run has ended."""
        job = {"folder": str(folder), "flags": self.words, "kills": kills, "share": share}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(job), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        assert line, "the worker has ended; what it said is above"
        return json.loads(line)


@pytest.fixture(scope="module")
def worker(tiny_model, noise_manifest) -> Iterator[Worker]:
    more: dict[str, Any] = {"utterances": 12, "max_steps": 10, "early_stop_patience": 0}
    words = flags(tiny_model, noise_manifest, **more)
    given: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, WORKER], **given) as process:
        yield Worker(process, words)
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory, worker) -> dict[str, Any]:
    """The run that nothing happened to, and how many file operations it took."""
    return worker(tmp_path_factory.mktemp("whole"), [], 1e9)


@pytest.mark.parametrize(("seed", "share"), [(1, 1e9), (2, 1.0)])
def test_killed_again_and_again_it_ends_with_the_same_adapter_and_figures(
    tmp_path, worker, whole, seed, share
) -> None:
    """`share`: the state is saved after every update, or now and then."""
    rng = random.Random(seed)
    kills = [rng.randrange(1, whole["operations"] // 2) for _ in range(KILLS)]
    found = worker(tmp_path, kills, share)
    [undisturbed] = whole["folders"]
    theirs, logs = left(undisturbed), ""
    for folder in found["folders"]:
        mine = left(folder)
        for name in theirs:
            assert mine[name] == theirs[name], name
        run = Path(folder) / "outputs/r"
        assert json.loads((run / "run.json").read_text())["complete"] is True
        assert not list(Path(folder).rglob(".*"))  # nothing half written is left
        assert not list(run.glob("checkpoint*"))
        logs += (run / "log.txt").read_text()
    assert logs.count("$ moontune run --resume") >= len(found["folders"])
    if share > 1:
        assert "going on after update" in logs
