"""A file of a run that is missing or damaged: one line, exit code 2, and the command of the stage
that makes it again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import flags

from moontune.cli.dispatch import main
from moontune.errors import UserError
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.review.command import ReviewArgs
from moontune.review.data_set import open_data

RUN = Path("outputs/r")
CROSSVAL = Path("outputs/cv")


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20] or b'{"id": "c')


DAMAGES = {"missing": Path.unlink, "damaged": cut_short}


@pytest.fixture
def copy(finished_run, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run[0] / RUN, RUN)
    return RUN


@pytest.fixture
def crossval(finished_crossval, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_crossval / CROSSVAL, CROSSVAL)
    return CROSSVAL


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What a command says that cannot be done."""
    capsys.readouterr()
    assert main(words) == 2
    [said] = capsys.readouterr().err.splitlines()
    return said


def again(stage: str) -> str:
    return f"; again: moontune {stage} outputs/r --overwrite"


def redo(stage: str) -> list[str]:
    return [stage, str(RUN), "--overwrite"]


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize(
    ("words", "file", "stage"),
    [
        (redo("split"), "manifests/clean.jsonl", "clean"),
        (redo("labels"), "manifests/train.jsonl", "split"),
        (redo("labels"), "manifests/val.jsonl", "split"),
        (redo("labels"), "manifests/test.jsonl", "split"),
        (redo("baseline"), "manifests/test.jsonl", "split"),
        (redo("train"), "manifests/train.jsonl", "split"),
        (redo("train"), "manifests/val.jsonl", "split"),
        (redo("train"), "suspects.jsonl", "labels"),
        (redo("evaluate"), "manifests/test.jsonl", "split"),
        (redo("evaluate"), "suspects.jsonl", "labels"),
        (redo("artifact"), "manifests/test.jsonl", "split"),
        (redo("artifact"), "predictions_tuned.jsonl", "evaluate"),
        (redo("verdict"), "predictions_base.jsonl", "baseline"),
        (redo("verdict"), "predictions_tuned.jsonl", "evaluate"),
        (redo("verdict"), "manifests/train.jsonl", "split"),
        (redo("verdict"), "suspects.jsonl", "labels"),
        (["report", str(RUN)], "predictions_base.jsonl", "baseline"),
        (["report", str(RUN)], "predictions_tuned.jsonl", "evaluate"),
        (["report", str(RUN)], "train_log.jsonl", "train"),
        (["report", str(RUN)], "manifests/test.jsonl", "split"),
        (["report", str(RUN)], "suspects.jsonl", "labels"),
        (["score", str(RUN)], "predictions_base.jsonl", "baseline"),
        (["score", str(RUN)], "predictions_tuned.jsonl", "evaluate"),
        (["export", str(RUN)], "predictions_base.jsonl", "baseline"),
        (["export", str(RUN)], "predictions_tuned.jsonl", "evaluate"),
        (["export", str(RUN)], "manifests/test.jsonl", "split"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else value.rpartition("/")[2],
)
def test_the_line_names_the_stage_that_makes_it_again(
    copy, capsys, words: list[str], file: str, stage: str, damage: Callable[[Path], None]
) -> None:
    damage(copy / file)
    said = refused(words, capsys)
    assert f"{RUN / file}" in said
    assert said.endswith(again(stage))


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize(
    ("file", "stage"),
    [("predictions_tuned.jsonl", "evaluate"), ("manifests/test.jsonl", "split")],
)
def test_a_run_that_is_compared(
    copy, capsys, file: str, stage: str, damage: Callable[[Path], None]
) -> None:
    shutil.copytree(copy, "outputs/other")
    damage(copy / file)
    assert refused(["compare", "outputs/other", str(copy)], capsys).endswith(again(stage))


def test_a_training_log_that_is_damaged_ends_the_verdict_and_one_that_is_missing_is_judged(
    copy, capsys
) -> None:
    cut_short(copy / "train_log.jsonl")
    assert refused(redo("verdict"), capsys).endswith(again("train"))
    (copy / "train_log.jsonl").unlink()
    assert main(redo("verdict")) == 1
    checks = json.loads((copy / "metrics.json").read_text())["verdict"]["checks"]
    assert [c["detail"] for c in checks if c["name"] == "artifacts complete"] == ["training log"]


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize(("which", "stage"), [("base", "baseline"), ("tuned", "evaluate")])
def test_predictions_of_general_speech(
    copy, capsys, which: str, stage: str, damage: Callable[[Path], None]
) -> None:
    """Without them the check for forgetting would be left out, and nothing said."""
    record = json.loads((copy / "run.json").read_text())
    sampled = record["stages"]["sample"]
    sampled["general"] = sampled["origin"]
    (copy / "run.json").write_text(json.dumps(record))
    for one in ("base", "tuned"):
        shutil.copy(copy / f"predictions_{one}.jsonl", copy / f"general_predictions_{one}.jsonl")
    assert main(redo("verdict")) in (0, 1)
    assert json.loads((copy / "metrics.json").read_text())["general"]["comparison"]
    damage(copy / f"general_predictions_{which}.jsonl")
    assert refused(redo("verdict"), capsys).endswith(again(stage))


def test_what_the_first_stage_drew_takes_a_beginning(copy, capsys) -> None:
    for file in ("manifests/dropped.jsonl", "manifests/sampled.jsonl"):
        (copy / file).unlink()
        said = refused(redo("clean"), capsys)
        assert said.endswith(
            f"{file}: is missing; do outputs/r again from the beginning, with --overwrite"
        )


def test_a_run_that_is_reviewed_or_that_another_comes_after(
    copy, capsys, tiny_model, noise_manifest
) -> None:
    (copy / "suspects.jsonl").unlink()
    with pytest.raises(UserError, match=again("labels")):
        open_data(copy, ReviewArgs.output, None, None, greedy=True)
    (copy / "manifests/clean.jsonl").unlink()
    with pytest.raises(UserError, match=again("clean")):
        open_data(copy, ReviewArgs.output, None, None, greedy=True)
    words = ["run", *flags(tiny_model, noise_manifest, "new"), "--after", str(copy)]
    assert refused(words, capsys).endswith(again("clean"))


def test_a_run_without_suspects_that_is_older_than_these(copy) -> None:
    (copy / "suspects.jsonl").unlink()
    record = json.loads((copy / "run.json").read_text())
    del record["stages"]["labels"]["suspects"]
    (copy / "run.json").write_text(json.dumps(record))
    assert main(["report", str(copy)]) in (0, 1)


@pytest.mark.parametrize("which", ["base", "tuned"])
def test_what_a_cross_validation_pooled_is_pooled_again_before_a_training_on_all_clips(
    crossval, capsys, which: str
) -> None:
    file = crossval / f"predictions_{which}.jsonl"
    kept = file.read_text()
    file.unlink()
    said = refused(["final", str(crossval), "--anyway"], capsys)
    assert not (crossval / "final").exists()
    command = f"moontune crossval --resume --run-name cv --output-dir {Path('outputs').resolve()}"
    assert said.endswith(f"; again: {command}")
    assert main(command.split()[1:]) == 0
    assert file.read_text() == kept


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("file", ["eval_base.json", "predictions_base.jsonl"])
def test_what_a_fold_heard_of_general_speech_is_looked_at_before_a_training_on_all_clips(
    crossval, capsys, file: str, damage: Callable[[Path], None]
) -> None:
    fold = crossval / "fold-1"
    record = json.loads((fold / "run.json").read_text())
    sampled = record["stages"]["sample"]
    sampled["general"] = sampled["origin"]
    (fold / "run.json").write_text(json.dumps(record))
    for one in ("eval_base.json", "predictions_base.jsonl", "predictions_tuned.jsonl"):
        shutil.copy(fold / one, fold / f"general_{one}")
    damage(fold / f"general_{file}")
    said = refused(["final", str(crossval), "--anyway"], capsys)
    assert f"{fold}/general_{file}" in said
    assert said.endswith(f"; again: moontune baseline {fold} --overwrite")
    assert not (crossval / "final").exists()


def test_a_fold_has_its_clips_from_the_whole(crossval, capsys) -> None:
    resume = ["crossval", "--resume", "--run-name", "cv"]
    fold = crossval / "fold-2"
    for file, remedy in {
        "train_log.jsonl": "again: moontune train outputs/cv/fold-2 --overwrite",
        "predictions_base.jsonl": "again: moontune baseline outputs/cv/fold-2 --overwrite",
        "manifests/test.jsonl": "do outputs/cv again from the beginning, with --overwrite",
    }.items():
        kept = (fold / file).read_bytes()
        (fold / file).unlink()
        assert refused(resume, capsys).endswith(f"{fold / file}: is missing; {remedy}")
        (fold / file).write_bytes(kept)
    assert main(resume) == 0


def test_a_search_does_not_do_its_first_stages_again(crossval) -> None:
    """`--resume` would leave them as they are."""
    record = json.loads((crossval / "run.json").read_text()) | {"kind": "sweep"}
    (crossval / "run.json").write_text(json.dumps(record))
    beginning = "do outputs/cv again from the beginning, with --overwrite"
    assert RunDir(crossval).remedy("predictions_base.jsonl") == beginning
    assert RunDir(crossval).remedy("manifests/val.jsonl") == beginning


@pytest.mark.parametrize("stage", ["labels", "train", "evaluate"])
def test_a_stage_is_not_given_up_for_recordings_that_are_gone(copy, capsys, stage) -> None:
    """As of a folder that was moved, or a disk that is not plugged in."""
    manifest = copy / "manifests/test.jsonl"
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    for i, row in enumerate(rows):
        row["audio_filepath"] = f"/no-such-disk/{i}.wav"
    manifest.write_text("\n".join(map(json.dumps, rows)))
    record = (copy / "run.json").read_bytes()
    said = refused([stage, str(copy), "--overwrite"], capsys)
    assert "/no-such-disk/0.wav: is gone, and so are" in said
    assert "nothing was changed" in said
    assert (copy / "run.json").read_bytes() == record
