"""One process at a time on a run's folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from moontune.cli.dispatch import main
from moontune.errors import UserError
from moontune.pipeline.run_folder.lock import exclusive_run

HOLDER = """
import sys
from pathlib import Path
from moontune.pipeline.run_folder.lock import exclusive_run
with exclusive_run(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that works on the run `r`."""
    words = [sys.executable, "-c", HOLDER, str(tmp_path / "r"), "train"]
    process = subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()


def test_the_second_process_is_refused_and_told_by_whom(tmp_path, holder) -> None:
    with pytest.raises(UserError, match=rf"process {holder.pid} on .*wait for it to end"):
        exclusive_run(tmp_path / "r").__enter__()
    (tmp_path / "r").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "r")
    with pytest.raises(UserError, match="works on it"):
        exclusive_run(tmp_path / "link").__enter__()
    with exclusive_run(tmp_path / "other"):
        pass


def test_a_process_that_was_killed_holds_nothing(tmp_path, holder) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / ".r.lock").exists()  # as it left it
    with exclusive_run(tmp_path / "r"):
        assert json.loads((tmp_path / ".r.lock").read_text())["process"] == os.getpid()
    assert not list(tmp_path.iterdir())


def test_a_fold_is_taken_with_its_cross_validation(tmp_path, holder) -> None:
    fold = tmp_path / "r/fold-1"
    fold.mkdir(parents=True)
    (tmp_path / "r/run.json").write_text("{}")
    (fold / "run.json").write_text("{}")
    with pytest.raises(UserError, match="works on it"):
        exclusive_run(fold).__enter__()


def test_what_a_killed_process_left_half_written_is_removed(tmp_path) -> None:
    (tmp_path / "r").mkdir()
    kept = [tmp_path / "r/run.json", tmp_path / ".r.1~x.unfinished"]  # of a run named r.1
    gone = [tmp_path / "r/.run.json~ab12.unfinished", tmp_path / ".r~cd34.unfinished"]
    for file in kept + gone:
        file.write_text("")
    with exclusive_run(tmp_path / "r"):
        assert [f.exists() for f in kept + gone] == [True, True, False, False]


def test_every_verb_that_writes_to_a_run_is_refused(
    finished_run, tiny_model, tmp_path, monkeypatch, capsys
) -> None:
    import shutil

    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run[0] / "outputs/r", "outputs/r")
    words = [sys.executable, "-c", HOLDER, "outputs/r"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        assert other.stdout.readline()
        own = ["--manifest", "outputs/r/manifests/clean.jsonl", "--model-id", str(tiny_model)]
        for asked in (
            ["run", "--resume", "--run-name", "r"],
            ["run", "--overwrite", "--run-name", "r", "--general", "off", *own],
            ["report", "outputs/r"],
            ["train", "outputs/r", "--overwrite"],
            ["export", "outputs/r"],
            ["push", "outputs/r", "anna/voice", "--anyway"],
        ):
            assert main(asked) == 2
            assert f"process {other.pid}" in capsys.readouterr().err, asked
        other.stdin.close()
