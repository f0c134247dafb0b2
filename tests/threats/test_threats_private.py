"""What is passed on of a run tells neither who spoke nor what was said."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from builders import SENTENCES, flags, noise

from moontune.cli.dispatch import main
from moontune.data.audio import write_flac
from moontune.models import standalone

STANDALONE = Path(standalone.__file__)  # what an export's transcribe.py is
NAMES = ("zebulon", "wilhelmina", "thaddeus", "persephone", "ignatius", "marigold")


def secret_manifest(folder: Path) -> tuple[Path, set[str]]:
    """24 clips of six people; and every string of theirs: folder, files, ids, names, words."""
    rows = []
    for i in range(24):
        name = NAMES[i % 6]
        file = folder / "vault-of-voices" / f"{name}-take{i:02}.flac"
        write_flac(file, noise(i, 1.0 + 0.03 * i))
        rows.append(
            {
                "audio_filepath": str(file),
                "text": f"Xylo{i} {SENTENCES[i % 8]} quorbit{i}.",
                "duration": 1.0 + 0.03 * i,
                "speaker": name,
                "id": f"hushclip{i:02}",
            }
        )
    manifest = folder / "vault-of-voices" / "my.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    secrets = {"vault-of-voices", "xylo", "quorbit", "-take", "hushclip", *NAMES, *SENTENCES}
    return manifest, secrets | {str(folder), folder.name}


@pytest.mark.parametrize("verb", ["run", "crossval"])
def test_a_collected_report_holds_figures_and_nothing_of_whose_they_are(
    verb: str, tmp_path: Path, monkeypatch, tiny_model
) -> None:
    elsewhere, here = tmp_path / "home-of-them", tmp_path / "work"
    manifest, secrets = secret_manifest(elsewhere)
    model = shutil.copytree(tiny_model, elsewhere / "hidden-shelf/tiny")
    here.mkdir()
    monkeypatch.chdir(here)
    words = [verb, *flags(model, manifest), "--report-file", "public/report.md"]
    assert main([*words, *(["--folds", "3"] if verb == "crossval" else [])]) in (0, 1)
    own = Path("outputs/r/report.md").read_text()
    assert any(name in own for name in NAMES)
    assert str(manifest) in own
    assert verb == "crossval" or "quorbit" in own  # no clip changed there
    public = Path("public/report.md").read_text()
    found = [s for s in sorted(secrets | {"hidden-shelf"}) if s.lower() in public.lower()]
    assert not found
    assert "speaker 1" in public
    assert "--manifest my.jsonl --model-id tiny --run-name r" in public
    assert re.search(r"^\| WER \| ", public, re.MULTILINE)
    assert not Path("docs").exists()


def test_a_run_is_reported_where_it_lies_and_nowhere_else(
    finished_run, tmp_path: Path, monkeypatch, capsys
) -> None:
    shutil.copytree(finished_run[0] / "outputs", tmp_path / "theirs/outputs")
    strange = tmp_path / "strange"
    strange.mkdir()
    monkeypatch.chdir(strange)
    run = tmp_path / "theirs/outputs/r"
    collected = run.parent / "training_report.md"
    collected.unlink()
    assert main(["report", str(run)]) in (0, 1)
    assert collected.is_file()
    assert str(collected) in capsys.readouterr().out
    assert not list(strange.iterdir())
    assert main(["report", str(run), "--report-file", "here.md"]) in (0, 1)
    assert [p.name for p in strange.iterdir()] == ["here.md"]
    (strange / "here.md").unlink()
    monkeypatch.chdir(tmp_path)  # it was asked for there, and stays there
    assert main(["report", str(run)]) in (0, 1)
    assert (strange / "here.md").is_file()
    assert not (tmp_path / "here.md").exists()


def test_the_committed_report_follows_the_rule() -> None:
    text = (Path(__file__).parents[2] / "docs/training_report.md").read_text()
    assert text.count("<!-- run ") == text.count("### By speaker and by length") >= 4
    for told in (
        "| reference |",
        "| transcript |",
        "Words most often",
        "../",
        "/home/",
        "drascula",
    ):
        assert told not in text
    named = re.findall(r"^\| speaker \|.*\n\|---.*\n((?:\|.*\n)+)", text, re.MULTILINE)
    rows = [row for table in named for row in table.splitlines()]
    assert len(rows) > 10
    assert all(re.match(r"\| speaker \d+ \|", row) for row in rows)


ALONE = "import runpy; runpy.run_path({!r}); import onnxruntime"


@pytest.mark.parametrize("code", ["import moontune, onnxruntime", ALONE.format(str(STANDALONE))])
def test_onnxruntime_is_imported_without_its_telemetry(code: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    heeded = ("CI", "ORT_", "GITHUB_", "TF_BUILD", "BUILD_", "JENKINS", "TEAMCITY", "XDG_")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(heeded)}
    asked = [sys.executable, "-c", f"{code}; import os; print(os.environ['ORT_DISABLE_TELEMETRY'])"]
    told = subprocess.run(
        asked, env=environment | {"HOME": str(tmp_path)}, capture_output=True, text=True
    )
    assert told.stdout == "1\n"
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]  # nor an id of the machine
