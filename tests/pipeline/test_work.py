"""Several processes on one cross-validation or sweep: each part once, and nobody is missed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import flags

from moontune.cli.dispatch import main
from moontune.cli.new_run import work as work_verb
from moontune.errors import UserError
from moontune.pipeline.experiments import sweep
from moontune.pipeline.experiments.crossval import folds as folds_module
from moontune.pipeline.experiments.help_out import run_to_help
from moontune.pipeline.run_folder.lock import claimed, exclusive_run, helped
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.files import read_jsonl

LONG = {"max_steps": 40, "eval_every_steps": 20}
TUNE = ["--tune", "lr=1e-3..1e-2", "lora_r=2,4"]
LIMIT_S = 300  # for a hang


def stopped(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def begun(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    """A run with its parts prepared, and none of them done."""
    with monkeypatch.context() as patch:
        patch.setattr(folds_module, "do_folds", stopped)
        patch.setattr(sweep, "do_trials", stopped)
        assert main(words) == 130


def worker(run: Path) -> subprocess.Popen[str]:
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "moontune", "work", str(run)]
    return subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, text=True)


def wait_for(found: Callable[[], int | None]) -> int:
    ends = time.monotonic() + LIMIT_S
    while (value := found()) is None:
        assert time.monotonic() < ends, "never"
        time.sleep(0.02)
    return value


def holder(part: Path) -> int | None:
    """The process that trains a part now, once it has made some updates."""
    log = part / "train_log.jsonl"
    if not log.is_file() or log.read_text().count('"update"') < 3 or (part / "train.json").exists():
        return None
    try:
        return json.loads((part.parent / f".{part.name}.lock").read_text())["process"]
    except (OSError, ValueError):
        return None


def killed_in(parts: list[Path], workers: list[subprocess.Popen[str]]) -> Path:
    """The part that one of the workers was in when it was killed; the other ends well."""

    def first() -> int | None:
        return next((n for n, part in enumerate(parts) if holder(part) is not None), None)

    part = parts[wait_for(first)]
    victim = next(w for w in workers if w.pid == holder(part))
    victim.send_signal(signal.SIGKILL)
    victim.wait(LIMIT_S)
    for one in workers:
        if one is not victim:
            assert one.wait(LIMIT_S) == 0
    return part


def test_folds_are_those_of_one_process_though_a_worker_was_killed(
    tmp_path, monkeypatch, tiny_model, noise_manifest
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    words = ["crossval", *flags(tiny_model, noise_manifest, "cv", **LONG), "--folds", "3"]
    assert main([*words, "--output-dir", "alone"]) == 0
    begun(monkeypatch, words)
    run = tmp_path / "outputs/cv"
    folds = [run / f"fold-{n}" for n in (1, 2, 3)]
    taken = killed_in(folds, [worker(run), worker(run)])
    assert "train" in RunDir(taken).stages()  # by the one that was left
    assert not list(run.glob(".*.lock"))
    assert main([*words, "--resume"]) == 0
    alone = tmp_path / "alone/cv"
    found, wanted = (json.loads((r / "crossval.json").read_text()) for r in (run, alone))
    assert found["comparison"] == wanted["comparison"]
    for fold in folds:
        for name in ("predictions_base.jsonl", "predictions_tuned.jsonl"):
            assert read_jsonl(fold / name) == read_jsonl(alone / fold.name / name)
        file = "lora_adapter/adapter_model.safetensors"
        assert (fold / file).read_bytes() == (alone / fold.name / file).read_bytes()
        updates = [e["step"] for e in read_jsonl(fold / "train_log.jsonl") if "loss" in e]
        assert updates == sorted(set(updates))  # each once


@pytest.mark.slow
def test_trials_are_done_once_and_that_of_a_killed_worker_is_taken_over(
    tmp_path, monkeypatch, tiny_model, noise_manifest
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["sweep", *flags(tiny_model, noise_manifest, "s", **LONG), "--trials", "5", *TUNE]
    begun(monkeypatch, words)
    run = tmp_path / "outputs/s"
    trials = [run / f"trial-{n}" for n in range(1, 5)]
    taken = killed_in(trials, [worker(run), worker(run)])
    drawn = json.loads((run / sweep.DRAWN).read_text())
    rows = [json.loads((trial / "trial.json").read_text()) for trial in trials]
    assert [row["values"] for row in rows] == [drawn[str(n)]["values"] for n in range(1, 5)]
    assert len({json.dumps(row["values"]) for row in rows}) == 4
    assert 0 in drawn[taken.name.removeprefix("trial-")]["after"]
    assert main([*words[:1], "--resume", "--run-name", "s"]) == 0
    assert json.loads((run / "sweep.json").read_text())["winner"] in range(5)


def test_a_part_has_one_worker_and_nothing_of_it_is_taken_away(
    finished_crossval, tmp_path, monkeypatch, capsys
) -> None:
    import shutil

    shutil.copytree(finished_crossval / "outputs", tmp_path / "outputs")
    monkeypatch.chdir(tmp_path)
    run = Path("outputs/cv")
    half_written = run / "fold-2/.x~1.unfinished"
    with claimed(run / "fold-2") as mine:
        assert mine
        half_written.touch()
        with claimed(run / "fold-2") as again, claimed(run / "fold-1") as other:
            assert not again
            assert other
        assert helped(run)
        with exclusive_run(run):  # as `crossval --resume` while it is helped
            assert half_written.exists()
        with pytest.raises(UserError, match="works on it"), exclusive_run(run / "fold-2"):
            pass
        asked = ["crossval", "--overwrite", "--run-name", "cv", "--manifest"]
        config = RunDir(run).config()
        assert config.data.manifest
        words = [*asked, str(config.data.manifest[0]), "--model-id", config.model.model_id]
        assert main([*words, "--folds", "3"]) == 2
        assert "`moontune work` is on it" in capsys.readouterr().err
    with claimed(run / "fold-2") as mine:
        assert mine
        assert not half_written.exists()  # left by one that ended
    assert not helped(run)


def test_what_cannot_be_helped_is_one_line(finished_crossval, finished_run, tmp_path) -> None:
    import shutil

    with pytest.raises(UserError, match="is a single run; name a cross-validation or a sweep"):
        run_to_help(finished_run[0] / "outputs/r")
    shutil.copytree(finished_crossval / "outputs/cv", tmp_path / "cv")
    assert work_verb([str(tmp_path / "cv")]) == 0  # all is done
    record = json.loads((tmp_path / "cv/run.json").read_text())
    del record["folds"]
    (tmp_path / "cv/run.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match="has no folds yet; wait until its own command"):
        run_to_help(tmp_path / "cv")
