"""Confidences through a run: calibrated beside the adapter, measured, reported, and used."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from moontune.cli.dispatch import main
from moontune.evaluation.confidence.judged import JudgedWord
from moontune.models.confidence.calibration import Calibration, read_calibration, write_calibration
from moontune.models.decoding import Transcript
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.pipeline.stages import confidence as stage
from moontune.pipeline.stages.confidence import calibrate_on_folds, confidence_of
from moontune.system.files import write_json, write_jsonl


@pytest.fixture
def run(finished_run, tmp_path, monkeypatch) -> RunDir:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run[0] / "outputs/r", "outputs/r")
    return RunDir(Path("outputs/r"))


def with_consensus(run: RunDir, right: bool = True, confidences: bool = True) -> None:
    """Predictions in which the consensus is the reference, or else wrong in every word."""
    rows = run.predictions("tuned")
    for row in rows:
        text = row["reference"] if right else " ".join("x" for _ in row["reference"].split())
        row["consensus"] = {"hypothesis": text, "edits": row["edits"]}
        if confidences:
            row["consensus"]["confidences"] = [0.75] * len(text.split())
    write_jsonl(run / "predictions_tuned.jsonl", rows)


def test_a_run_by_consensus_measures_and_reports_confidences(run: RunDir, capsys) -> None:
    """A greedy one has none of it; its tiny random model gets too few words right to calibrate."""
    assert run.read("metrics.json")["confidence"] is None
    assert not run.confidence.exists()
    assert "How sure it is" not in (run / "report.html").read_text()
    again = ["baseline", "outputs/r", "--decoding", "consensus", "--overwrite"]
    assert main(again) == 0
    main(["run", "--resume", "--run-name", "r"])
    found = read_calibration(run.confidence, "again")
    assert found.decoding == "consensus"
    assert found.origin is not None
    assert found.origin.clips == len((run / "manifests/val.jsonl").read_text().splitlines())
    rows = run.predictions("tuned")
    assert all("confidences" in row.get("consensus", {}) for row in rows)
    measured = run.metrics().confidence
    assert measured is not None
    assert measured.test.clips == len(rows)
    for name in ("report.html", "report.md"):
        text = (run / name).read_text()
        assert "How sure it is of a word" in text
        assert f"{measured.test.brier:.4f}" in text
    capsys.readouterr()
    assert not shown_greedily(run, capsys)


def shown_greedily(run: RunDir, capsys) -> bool:
    """Whether what greedy decoding writes tells of confidences."""
    audio = json.loads((run / "manifests/test.jsonl").read_text().splitlines()[0])
    words = ["transcribe", audio["audio_filepath"], "--model", str(run.path), "--format", "jsonl"]
    assert main([*words, "--speech-threshold", "0.0001"]) == 0
    return "confidence" in capsys.readouterr().out


def test_validation_clips_that_look_wrong_calibrate_nothing(run: RunDir, monkeypatch) -> None:
    val = [json.loads(line) for line in run.manifest("val").read_text().splitlines()]
    suspect = {"id": val[0]["id"], "set_aside": True}
    monkeypatch.setattr(
        RunDir, "suspects", lambda self: [type("S", (), suspect)()]
    )  # of a screening
    clips = run.fitting("val")
    assert [u.id for u in clips] == [row["id"] for row in val[1:]]


def test_each_run_is_measured_by_its_own_calibration(run: RunDir, tmp_path: Path) -> None:
    other = RunDir(tmp_path / "outputs/s")
    shutil.copytree(run.path, other.path)
    with_consensus(run)
    with_consensus(other, right=False)
    assert confidence_of([run, other], 1) is None  # no calibration was written
    write_calibration(run.confidence, Calibration(2.0, 1.0, own=True))
    write_calibration(other.confidence, Calibration(-4.0, 1.0, own=True))
    found = confidence_of([run, other], 1)
    assert found is not None
    assert found.test.words == 2 * found.test.right > 0
    assert [one.observed for one in found.test.bins] == [0, 1]
    assert found.test.brier < 0.05 < found.default_brier
    with_consensus(other, confidences=False)  # by an older moontune
    assert confidence_of([run, other], 1) is None


def test_the_adapter_on_all_clips_is_calibrated_by_the_folds_test_clips(
    run: RunDir, monkeypatch
) -> None:
    judged: list[list[list[JudgedWord]]] = []
    fit = stage.fit_calibration
    monkeypatch.setattr(stage, "fit_calibration", lambda clips: judged.append(clips) or fit(clips))
    folds = RunDir(run.path)
    with_consensus(folds)
    final = RunDir(run.path.parent / "final")
    final.path.mkdir()
    calibrate_on_folds(final, folds)
    assert len(judged[0]) == len(folds.predictions("tuned"))
    assert final.confidence.is_file()
    with_consensus(folds, confidences=False)
    calibrate_on_folds(final, folds)
    assert not final.confidence.exists()


def test_greedy_decoding_takes_an_older_calibration_away(run: RunDir) -> None:
    write_json(run.confidence, Calibration().to_json())
    assert main(["evaluate", "outputs/r", "--overwrite"]) == 0
    assert not run.confidence.exists()


def test_a_transcript_as_it_was_kept_has_no_confidences() -> None:
    assert Transcript("a", [1, 2], False).confidences is None
