"""A run that is killed, at whatever moment, is gone on with and ends as if it had not been."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from builders import flags
from run_outcome import left

WORKER = Path(__file__).parents[1] / "support/kill_worker.py"
KILLS = 15  # of each of two series of runs


def done(folder: Path, words: list[str], kills: list[int], share: float) -> dict[str, Any]:
    """Runs, one after the other, killed before each of these numbers of file operations and gone on
    with, until all of the kills were used and the last run has ended."""
    job = {
        "folder": str(folder),
        "flags": words,
        "kills": kills,
        "share": share,
        "result": str(folder / "result.json"),
    }
    file = folder / "job.json"
    file.write_text(json.dumps(job))
    out = subprocess.run([sys.executable, WORKER, file], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    return json.loads(Path(job["result"]).read_text())


@pytest.fixture(scope="module")
def words(tiny_model, noise_manifest) -> list[str]:
    more = {"max_steps": 10, "augment": "speed", "early_stop_patience": 0}
    return flags(tiny_model, noise_manifest, **more)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, words) -> dict[str, Any]:
    """The run that nothing happened to, and how many file operations it took."""
    return done(tmp_path_factory.mktemp("whole"), words, [], 1e9)


@pytest.mark.parametrize(("seed", "share"), [(1, 1e9), (2, 1.0)])
def test_killed_again_and_again_it_ends_with_the_same_adapter_and_figures(
    tmp_path, words, whole, seed, share
) -> None:
    """`share`: the state is saved after every update, or now and then."""
    rng = random.Random(seed)
    kills = [rng.randrange(1, whole["operations"] // 2) for _ in range(KILLS)]
    found = done(tmp_path, words, kills, share)
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
