"""A run that is killed, at whatever moment, is gone on with and ends as if it had not been."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import flags

from moontune.files import read_jsonl

WORKER = Path(__file__).parent / "kill_worker.py"
KILLS = 12  # of each of two runs


def done(folder: Path, words: list[str], kills: list[int], share: float = 1e9) -> dict[str, Any]:
    """A run killed before each of these numbers of file operations, and then left to end."""
    job = {
        "folder": str(folder),
        "flags": words,
        "kills": kills,
        "share": share,
        "result": str(folder) + ".result.json",
    }
    file = Path(f"{folder}.job.json")
    file.write_text(json.dumps(job))
    out = subprocess.run([sys.executable, WORKER, file], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    return json.loads(Path(job["result"]).read_text())


def figures(value: Any) -> Any:
    """All that a run found, without what is of the clock and of the command line."""
    clock = ("seconds", "seconds_validating", "timings_s", "environment", "started", "output_dir")
    if isinstance(value, dict):
        return {k: figures(v) for k, v in value.items() if k not in clock}
    return [figures(v) for v in value] if isinstance(value, list) else value


def left(folder: Path) -> dict[str, Any]:
    run = folder / "outputs/r"
    found: dict[str, Any] = {
        name: json.loads((run / name).read_text())
        for name in ("metrics.json", "train.json", "split.json", "eval_base.json")
    }
    for name in ("train_log", "predictions_base", "predictions_tuned"):
        found[name] = read_jsonl(run / f"{name}.jsonl")
    adapter = (run / "lora_adapter/adapter_model.safetensors").read_bytes()
    return figures(found) | {"adapter": adapter}


@pytest.fixture(scope="module")
def words(tiny_model, noise_manifest) -> list[str]:
    more = {"max_steps": 10, "augment": "speed", "early_stop_patience": 0}
    return flags(tiny_model, noise_manifest, **more)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, words) -> tuple[Path, int]:
    """The run that nothing happened to, and how many file operations it took."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    return folder, done(folder, words, [])["operations"]


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_again_and_again_it_ends_with_the_same_adapter_and_figures(
    tmp_path, words, whole, seed
) -> None:
    folder, operations = whole
    rng = random.Random(seed)
    # Those of an early process get it nowhere, so that every stage is met by several.
    kills = [rng.randrange(1, operations // 7) for _ in range(KILLS)]
    found = done(tmp_path / "run", words, kills, share=1e9 if seed == 1 else 1.0)
    assert found["killed"] == KILLS
    mine, theirs = left(tmp_path / "run"), left(folder)
    for name in theirs:
        assert mine[name] == theirs[name], name
    run = tmp_path / "run/outputs/r"
    assert json.loads((run / "run.json").read_text())["complete"] is True
    assert not list((tmp_path / "run").rglob(".*"))  # nothing half written is left
    assert not list(run.glob("checkpoint*"))
    log = (run / "log.txt").read_text()
    assert log.count("$ moontune run") > 1
    assert "going on after update" in log
    assert "torch 2." in log
