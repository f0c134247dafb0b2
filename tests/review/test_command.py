"""What `moontune review` can be given, and how it ends."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from review_desk import Opened, asker, data_of, rows_of, served, until, write_set
from serve_client import Page

from moontune.cli.dispatch import main
from moontune.data.manifest import read_manifest
from moontune.errors import UserError
from moontune.pipeline.run_folder.opening import open_run
from moontune.review.command import ReviewArgs, next_training
from moontune.review.data_set import open_data
from moontune.system.files import read_jsonl, write_jsonl
from moontune.web import http_server
from moontune.web.model_sources import ModelSource

TEXTS = ("one", "two", "three")


@pytest.fixture
def run(finished_run: tuple[Path, int], tmp_path: Path) -> Path:
    return shutil.copytree(finished_run[0] / "outputs/r", tmp_path / "outputs/r")


def test_a_file_its_folder_and_a_run_are_taken(tmp_path: Path, run: Path, tiny_model: Path) -> None:
    manifest = write_set(tmp_path / "mine", TEXTS)
    for given in (manifest, manifest.parent):
        data = open_data(given, None, None, str(tiny_model), greedy=True)
        assert data.files.manifest == manifest
        assert data.files.reviewed == manifest.parent / "reviewed.jsonl"
        assert [s.name for s in data.sources] == ["base"]
    data = open_data(run, None, None, None, greedy=True)
    assert data.files.reviewed == run.with_name("r-reviewed") / "reviewed.jsonl"
    assert [s.name for s in data.sources] == ["base", "tuned"]
    assert len(read_jsonl(data.files.manifest)) == 24  # of all splits
    assert len(data.transcripts) == 24
    assert data.suspects == {s["id"] for s in read_jsonl(run / "suspects.jsonl")}
    consensus = open_data(run, None, None, None, greedy=False)
    assert not consensus.transcripts  # a run's are greedy
    assert not open_data(run, None, None, str(tiny_model), greedy=True).transcripts
    fold = shutil.copytree(run, run / "fold-1")  # as that of a cross-validation lies in its folder
    data = open_data(fold, None, None, None, greedy=True)
    assert data.files.reviewed == run.with_name("r-fold-1-reviewed") / "reviewed.jsonl"
    data.files.check()
    shutil.rmtree(run / "lora_adapter")  # before its training
    assert [s.name for s in open_data(run, None, None, None, greedy=True).sources] == ["base"]
    listened = open_data(manifest, None, None, str(tiny_model), greedy=True).sources
    assert listened[0].what == str(tiny_model)


def test_what_is_no_data_is_one_line(tmp_path: Path, capsys, tiny_model: Path) -> None:
    manifest = write_set(tmp_path, TEXTS)
    (tmp_path / "empty").mkdir()
    (tmp_path / "table.csv").write_text("path,sentence\na.wav,text\nb.wav,text\n")
    for words, says in (
        (["nothing"], "no such file or folder"),
        (["empty"], "holds no manifest.jsonl"),
        (["table.csv"], "is no manifest"),
        (["manifest.jsonl", "--port", "-1"], "--port -1"),
        (["manifest.jsonl", "--model", "nothing"], "no such folder"),
        (["manifest.jsonl", "--output", "manifest.jsonl"], "is what a review writes"),
        (["manifest.jsonl", "--output", "empty"], "ends in .jsonl"),
        ([], "DATA is missing"),
    ):
        given = [str(tmp_path / words[0]), *words[1:]] if words else []
        given = [
            str(tmp_path / w) if (tmp_path / w).exists() and i else w for i, w in enumerate(given)
        ]
        assert main(["review", *given, "--no-open-page", "--model-id", str(tiny_model)]) == 2
        said = capsys.readouterr().err
        assert says in said
        assert said.count("\n") == 1
    assert {p.name for p in tmp_path.iterdir()} == {"audio", "empty", "table.csv", manifest.name}


def test_files_are_looked_at_before_a_hub_is_asked(tmp_path: Path, monkeypatch, capsys) -> None:
    def asked(source: ModelSource) -> ModelSource:
        raise UserError("the hub cannot be reached")

    monkeypatch.setattr(ModelSource, "found", asked)
    write_set(tmp_path, TEXTS)
    (tmp_path / "README.md").write_text("# Read me\n\nNo rows here.\n")
    for words, says in (
        (["README.md"], "is no manifest"),
        (["manifest.jsonl", "--output", str(tmp_path / "manifest.jsonl")], "is what a review"),
        (["manifest.jsonl"], "the hub cannot be reached"),
    ):
        given = [str(tmp_path / words[0]), *words[1:]]
        assert main(["review", *given, "--no-open-page", "--model-id", "a/hub-model"]) == 2
        assert says in capsys.readouterr().err


def test_the_network_is_let_in_with_a_code_over_https(
    tmp_path: Path, tiny_model: Path, monkeypatch, capsys
) -> None:
    pytest.importorskip("cryptography", reason="cryptography is not installed (extra `serve`)")

    def serve_at(app, host, port, ready, certificate=None) -> None:
        assert (host, certificate is not None) == ("0.0.0.0", True)
        ready("https://0.0.0.0:1/")

    monkeypatch.setattr(http_server, "serve_at", serve_at)
    words = ["review", str(write_set(tmp_path, TEXTS)), "--model-id", str(tiny_model)]
    assert main([*words, "--no-open-page", "--host", "0.0.0.0"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"open https://[^0]\S*:1/", shown)
    assert re.search(r"its code: \d{6}", shown)
    assert re.search(r"fingerprint: ([0-9A-F]{2}:){31}[0-9A-F]{2}", shown)


def started(manifest: Path, model: Path) -> tuple[subprocess.Popen[str], Page]:
    words = ["review", str(manifest), "--model-id", str(model), "--port", "0", "--no-open-page"]
    code = "import sys; from moontune.cli import main; sys.exit(main(sys.argv[1:]))"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words, "--device", "cpu"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stdout is not None
    line = next((line for line in process.stdout if line.startswith("open ")), "")
    page = Page(int(line.split("/")[2].rpartition(":")[2]), manifest.parent, [])
    page.token = page.ask("GET", "/")[1].split('moontune-token" content="')[1].split('"')[0]
    return process, page


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_review_that_is_ended_is_gone_on_with(
    how: signal.Signals, tmp_path: Path, tiny_model: Path, capsys
) -> None:
    manifest = write_set(tmp_path, TEXTS)
    process, page = started(manifest, tiny_model)
    try:
        ask = asker(page)
        until(lambda: ask("progress")["figures"]["heard"] == 3)
        first = ask("step", to="open")["clip"]
        assert [h["name"] for h in first["heard"]] == ["base"]
        ask("drop", key=first["key"], reason="noise")
        assert main(["review", str(manifest), "--no-open-page", "--model-id", str(tiny_model)]) == 2
        said = capsys.readouterr().err
        assert "works on it" in said
        assert said.count("\n") == 1
        second = ask("step", to="open")["clip"]
        ask("correct", key=second["key"], text="corrected")
    finally:
        process.send_signal(how)
        process.communicate(timeout=60)
    if how != signal.SIGKILL:  # whole at the end
        assert "corrected" in (tmp_path / "reviewed.jsonl").read_text()
    process, page = started(manifest, tiny_model)
    try:
        figures = asker(page)("progress")["figures"]
        assert (figures["reviewed"], figures["dropped"], figures["changed"]) == (2, 1, 1)
        until(lambda: "corrected" in (tmp_path / "reviewed.jsonl").read_text())
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    rows = rows_of(tmp_path / "reviewed.jsonl")
    assert len(rows) == 2
    assert [json.loads(line) for line in manifest.read_text().splitlines()] == rows_of(manifest)


def test_a_reviewed_manifest_is_one_for_a_run(tmp_path: Path, run: Path) -> None:
    data = open_data(run, None, None, None, greedy=True)
    with Opened(data) as opened:
        opened.review.decide(opened.keys[0], "keep", "another text")
        opened.write()
    found, bad = read_manifest(data.files.reviewed)
    assert (len(found), bad) == (24, [])
    assert all(u.audio_filepath.is_file() for u in found)
    words = ["--manifest", str(data.files.reviewed), "--run-name", "again", "--model-id", "bundled"]
    assert main(["sample", *words, "--output-dir", str(tmp_path / "outputs")]) == 0
    inside = open_data(run, run / "mine.jsonl", None, None, greedy=True)
    with pytest.raises(UserError, match="lies inside a run"):
        inside.files.check()


def test_a_training_comes_after_the_run_that_listens_where_that_had_not_all(
    tmp_path: Path, run: Path, tiny_model: Path
) -> None:
    manifest = write_set(tmp_path / "mine", TEXTS)
    theirs = run / "manifests/clean.jsonl"
    rows = [row | {"audio_filepath": str(run / row["audio_filepath"])} for row in rows_of(theirs)]
    write_jsonl(tmp_path / "again.jsonl", rows)
    for given, model, words in (
        (manifest, None, ["--manifest"]),
        (manifest, run, ["--after", str(run), "--manifest"]),
        (tmp_path / "again.jsonl", run, ["--manifest"]),  # it had them
        (run, run, ["--manifest"]),
    ):
        args = ReviewArgs(given, model and str(model), model_id=str(tiny_model))
        data = open_data(given, None, None, str(tiny_model), greedy=True)
        found = next_training(args, data, data.rows()).words
        assert found[: len(words)] == words
        assert found[len(words)].endswith("reviewed.jsonl")


def test_how_many_clips_there_are_since_the_last_training_is_told(
    tmp_path: Path, run: Path
) -> None:
    """Those that a training takes: no dropped ones, and no drafts that nobody has read."""
    texts = [f"text {i}" for i in range(30)]
    manifest = write_set(tmp_path, texts)
    rows = rows_of(manifest)
    rows[19:] = [row | {"draft": True} for row in rows[19:]]
    write_jsonl(manifest, rows)
    with Opened(data_of(manifest), after=open_run(run)) as opened:
        ask = asker(served(opened))
        figures = ask("progress")["figures"]
        assert figures["since"].startswith("19 clips, 36.1 seconds since r was trained. From 20")
        assert not figures["enough"]
        figures = ask("correct", key=opened.keys[20], text="read")["figures"]
        assert figures["since"].startswith("20 clips")
        assert figures["enough"]
        assert not ask("drop", key=opened.keys[0], reason="")["figures"]["enough"]
    with Opened(data_of(manifest)) as opened:
        assert asker(served(opened))("progress")["figures"]["since"] == ""
