"""Trainings that a page starts."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bad_network import BAD_NETWORK
from chromium import Chromium, find_chromium
from running import started
from serve_client import Page

from moontune.data.manifest import read_manifest
from moontune.errors import UserError
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.serve.app import PageText, application
from moontune.system.files import write_jsonl
from moontune.web.corrected_clips import CorrectedClips
from moontune.web.next_training import NextTraining
from moontune.web.requests import Limits
from moontune.web.training_job import TRAINING_PATHS, TrainingJob

# What `moontune run` prints and leaves, without its minutes: it waits for the file `go`.
STAND_IN = """
    import pathlib, shutil, signal, sys, time
    words = sys.argv[2:]
    def stopped(*_):
        print("moontune: stopped; go on with: moontune run --resume", file=sys.stderr)
        sys.exit(130)
    signal.signal(signal.SIGINT, stopped)
    print("[1/10] sample: take utterances", flush=True)
    print("[6/10] train: train the adapter", flush=True)
    print("  5/10 loss 1.5", flush=True)
    while not pathlib.Path("go").exists():
        time.sleep(0.01)
    if pathlib.Path("go").read_text() == "fail":
        print("moontune: my.jsonl: no such manifest; check the path", file=sys.stderr)
        sys.exit(2)
    where, name = (words[words.index(flag) + 1] for flag in ("--output-dir", "--run-name"))
    shutil.copytree("finished", f"{where}/{name}")
    pathlib.Path("words").write_text("\\n".join(words))
"""

STOPPED_AGAIN = """def stopped(*_):
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    print("saving", flush=True)
    while not pathlib.Path("saved").exists():
        time.sleep(0.01)"""


@pytest.fixture
def job(finished_run, tmp_path: Path, monkeypatch) -> Iterator[TrainingJob]:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run[0] / "outputs/r", "finished")
    Path("stand_in.py").write_text(textwrap.dedent(STAND_IN))
    made = TrainingJob(
        NextTraining([Path("kept.jsonl")], "bundled"), program=[sys.executable, "stand_in.py"]
    )
    yield made
    made.stop()


def until(job: TrainingJob, **expected: Any) -> dict[str, Any]:
    ends = time.monotonic() + 60
    while True:
        state = job.state()
        if state | expected == state:
            return state
        assert time.monotonic() < ends, state
        time.sleep(0.01)


def test_it_is_watched_and_tells_what_came_of_it(job: TrainingJob) -> None:
    assert job.state() == {"running": False, "says": [], "commands": []}
    job.start()
    stage = "Step 6 of 10: train the adapter"
    until(job, running=True, stage=stage, line="5/10 loss 1.5")
    with pytest.raises(UserError, match="running already"):
        job.start()
    Path("go").touch()
    state = until(job, running=False)
    sentence = json.loads(Path("finished/metrics.json").read_text())["verdict"]["sentence"]
    assert state["says"][0] == sentence
    assert Path(state["page"]).is_file()
    words = Path("words").read_text().split("\n")
    assert words[:4] == ["--manifest", "kept.jsonl", "--model-id", "bundled"]


def test_a_mistake_is_its_own_line(job: TrainingJob) -> None:
    Path("go").write_text("fail")
    job.start()
    state = until(job, running=False)
    assert state["failed"]
    assert state["says"] == ["my.jsonl: no such manifest; check the path"]


def test_it_can_be_stopped(job: TrainingJob) -> None:
    job.start()
    until(job, running=True, line="5/10 loss 1.5")
    job.stop()
    state = until(job, running=False)
    assert state["says"] == ["stopped; go on with: moontune run --resume"]


def test_one_that_runs_when_the_page_ends_is_saved_and_says_how_to_go_on(job: TrainingJob) -> None:
    told: list[str] = []
    job.end(told.append)
    assert told == []  # none runs
    job.start()
    until(job, running=True, line="5/10 loss 1.5")
    job.end(told.append)
    assert not job.state()["running"]
    assert told[-1] == "stopped; go on with: moontune run --resume"


def test_ctrl_c_in_the_terminal_is_not_for_it(job: TrainingJob) -> None:
    """It would get it twice, and the second ends it at once."""
    job.start()
    until(job, running=True)
    assert job._job is not None
    assert os.getpgid(job._job.process.pid) != os.getpgid(0)


@pytest.fixture
def page(job: TrainingJob, tmp_path: Path) -> Page:
    """The page of `serve` with so much kept that a training is offered."""
    kept = CorrectedClips(tmp_path / "kept")
    rows = [{"audio_filepath": f"a{i}.flac", "text": "So it is.", "duration": 5} for i in range(60)]
    write_jsonl(kept.manifest, rows)
    text = PageText("mine", 1, NextTraining([kept.manifest]))
    app = application(text, lambda _: [], kept, Limits(), ["127.0.0.1"], job=job)
    made = Page(started(app), kept.folder, [])
    made.token = made.ask("GET", "/")[1].split('moontune-token" content="')[1].split('"')[0]
    return made


def test_only_its_own_page_may_start_one(page: Page, job: TrainingJob) -> None:
    for path in TRAINING_PATHS:
        assert page.ask("POST", path, b"{}", X_Moontune="other")[0] == 403
        assert page.ask("POST", path, b"{}", Origin="http://evil.example")[0] == 403
        assert page.ask("GET", path)[0] == 405
    assert not job.state()["running"]


@pytest.mark.skipif(find_chromium() is None, reason="no Chromium")
def test_from_the_page(page: Page, tmp_path: Path) -> None:
    with Chromium(str(find_chromium()), tmp_path / "profile") as browser:
        browser.open(f"http://127.0.0.1:{page.port}/")
        browser.until("document.getElementById('train-now')?.offsetParent != null")
        browser.value("document.getElementById('train-now').click()")
        says = "document.getElementById('training').textContent"
        browser.until(f"{says}.includes('Step 6 of 10: train the adapter')")
        browser.until("document.getElementById('train-now').disabled")
        Path("go").touch()
        browser.until(f"{says}.includes('The whole report: outputs/page-')")
        browser.until("!document.getElementById('train-now').disabled")
        assert not browser.complaints()


@pytest.mark.skipif(find_chromium() is None, reason="no Chromium")
def test_one_that_another_tab_started_is_watched_and_late_answers_say_nothing(
    page: Page, job: TrainingJob, tmp_path: Path
) -> None:
    with Chromium(str(find_chromium()), tmp_path / "profile") as browser:
        browser.before(BAD_NETWORK)
        browser.open(f"http://127.0.0.1:{page.port}/")
        browser.until("document.getElementById('train-now')?.offsetParent != null")
        browser.until("window.sent.includes('/training')")
        job.start()
        browser.value("document.getElementById('train-now').focus()")
        browser.value("document.getElementById('train-now').click()")
        says = "document.getElementById('training').textContent"
        browser.until(f"{says}.includes('Step 6 of 10: train the adapter')")
        assert browser.value("document.activeElement.id") == "train-stop"
        browser.value("window.late['/training'] = 1500; window.sent.length = 0")
        browser.until("window.sent.includes('/training')")  # it says that one is running
        browser.value("document.getElementById('train-stop').click()")
        browser.until("window.sent.includes('/training/stop')")
        browser.value("window.late['/training'] = 0")
        browser.until(f"{says}.includes('stopped; go on with')")
        time.sleep(1.6)
        assert "stopped; go on with" in browser.value(says)


def test_a_second_stop_does_not_end_it_unsaved(job: TrainingJob) -> None:
    script = Path("stand_in.py")
    script.write_text(script.read_text().replace("def stopped(*_):", STOPPED_AGAIN))
    job.start()
    until(job, running=True, line="5/10 loss 1.5")
    job.stop()
    until(job, running=True, line="saving")
    job.stop()
    time.sleep(0.3)
    Path("saved").touch()
    state = until(job, running=False)
    assert state["says"] == ["stopped; go on with: moontune run --resume"]


def test_after_a_run_the_new_clips_count(finished_run) -> None:
    run = RunDir(finished_run[0] / "outputs/r")
    old, _ = read_manifest(run.manifest("clean"))
    training = NextTraining([Path("kept/manifest.jsonl")], "bundled", after=run)
    assert training.words == ["--after", str(run.path), "--manifest", "kept/manifest.jsonl"]
    advised = training.advised(old)
    assert (advised["enough"], advised["advice"][:17]) == (False, "Nothing since r. ")
    new = [old[0].__class__(f"n{i}", Path(f"n{i}.wav"), "So.", 3.0, None) for i in range(20)]
    assert "20 clips, 1.0 minutes since r was trained" in training.advised([*old, *new])["advice"]
    assert training.advised([*old, *new])["enough"]
    assert not training.advised([*old, *new[1:]])["enough"]
