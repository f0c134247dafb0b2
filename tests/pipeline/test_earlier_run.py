"""A run that comes after another, with new clips."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from builders import noise

from moontune.cli.dispatch import main
from moontune.config.loading import with_settings
from moontune.config.schema import RunConfig
from moontune.data.audio import write_flac
from moontune.data.manifest import read_manifest
from moontune.data.splitting import SPLITS
from moontune.errors import UserError
from moontune.pipeline.earlier_run import with_earlier
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.files import read_jsonl, write_jsonl

NEW = 9


@pytest.fixture
def old(finished_run, tmp_path: Path, monkeypatch) -> Path:
    """A finished run in the folder that the test is in, and new.jsonl with clips of four speakers,
    one of them known."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run[0] / "outputs/r", "outputs/old")
    rows = []
    for i in range(NEW):
        write_flac(Path(f"new/n{i}.flac"), noise(100 + i, 1.0 + 0.05 * i))
        speaker = "s0" if i == 0 else f"new{i % 3}"
        row = {"audio_filepath": f"new/n{i}.flac", "text": f"A new sentence, number {i}."}
        rows.append(row | {"speaker": speaker, "id": f"n{i}"})
    write_jsonl(Path("new.jsonl"), rows)
    return Path("outputs/old")


def splits(run: Path) -> dict[str, str]:
    return {
        row["id"]: name for name in SPLITS for row in read_jsonl(run / f"manifests/{name}.jsonl")
    }


def test_its_clips_stay_where_they_were_and_what_the_new_ones_bought_is_told(
    old: Path, tiny_model: Path, capsys
) -> None:
    flags = ["--max-steps", "2", "--run-name", "new", "--general", "off"]
    assert main(["run", "--after", str(old), "--manifest", "new.jsonl", *flags]) in (0, 1)
    told = capsys.readouterr().out
    run = Path("outputs/new")
    before, after = splits(old), splits(run)
    assert {name: after[name] for name in before} == before
    assert len(after) == len(before) + NEW
    known = {row["id"]: row["speaker"] for row in read_jsonl(old / "manifests/clean.jsonl")}
    assert after["n0"] == next(before[name] for name, who in known.items() if who == "s0")
    assert {after[f"n{i}"] for i in range(1, NEW)} == set(SPLITS)
    new_test = [name for name, split in after.items() if split == "test" and name not in before]

    metrics = json.loads((run / "metrics.json").read_text())["new_clips"]
    assert metrics["new"] == {s: sum(after[f"n{i}"] == s for i in range(NEW)) for s in SPLITS}
    tested = [row["id"] for row in read_jsonl(run / "predictions_tuned.jsonl")]
    assert metrics["comparison"]["utterances"] == len(tested)
    assert metrics["of_new"]["utterances"] == len(new_test)
    # The earlier adapter is what was measured, on the clips of both.
    theirs = {row["id"]: row["hypothesis"] for row in read_jsonl(old / "predictions_tuned.jsonl")}
    again = {r["id"]: r["hypothesis"] for r in read_jsonl(run / "predictions_earlier.jsonl")}
    assert set(again) == set(tested)
    assert all(again[name] == text for name, text in theirs.items())

    assert f"9 clips more than in {old}" in told
    for file in ("report.md", "report.html"):
        page = (run / file).read_text()
        assert "What the new clips bought" in page
        assert "9 clips more than in" in page
    assert "What the new clips bought" not in Path("outputs/training_report.md").read_text()


def test_it_can_be_gone_on_with_by_the_flags_it_was_begun_with(old: Path) -> None:
    flags = ["--max-steps", "1", "--run-name", "new", "--general", "off"]
    first = ["run", "--after", str(old), "--manifest", "new.jsonl", *flags]
    assert main([*first]) in (0, 1)
    shutil.rmtree("outputs/new/lora_adapter")
    RunDir(Path("outputs/new")).forget_stages(
        ["train", "evaluate", "artifact", "verdict", "report"]
    )
    assert main([*first, "--resume"]) in (0, 1)
    assert (Path("outputs/new") / "lora_adapter").is_dir()


def config(**settings: Any) -> RunConfig:
    settings["after"] = str(settings["after"])
    return with_settings(RunConfig(), settings, "test")


def test_base_and_way_of_splitting_are_its_own(old: Path, tiny_model: Path) -> None:
    found = with_earlier(config(after=old, manifest=["new.jsonl"]))
    assert found.model.model_id == str(tiny_model)
    assert found.split.split_by == "speaker"
    assert found.data.manifest == (old / "manifests/clean.jsonl", Path("new.jsonl"))
    assert with_earlier(found) == found


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "add --manifest with new ones"),
        ({"manifest": ["new.jsonl"], "utterances": 10}, "drop one"),
        ({"manifest": ["new.jsonl"], "split_by": "utterance"}, "is split by speaker"),
        ({"manifest": ["new.jsonl"], "model_id": "bundled"}, "figures of two bases"),
        ({"manifest": ["new.jsonl"], "after": "nowhere"}, "is not a run of moontune"),
    ],
)
def test_what_does_not_go_together_is_refused(old: Path, settings, says) -> None:
    with pytest.raises(UserError, match=says):
        with_earlier(config(**({"after": old} | settings)))


def test_a_cross_validation_takes_its_clips_along(old: Path, capsys) -> None:
    """As the steps do that a run names, which take its settings."""
    words = ["crossval", "--after", str(old), "--manifest", "new.jsonl", "--folds", "3"]
    words += ["--max-steps", "1", "--general", "off", "--run-name", "cv"]
    assert main(words) == 0
    clean, _ = read_manifest(Path("outputs/cv/manifests/clean.jsonl"))
    assert len(clean) == 24 + NEW
    assert len(read_jsonl(Path("outputs/cv/predictions_tuned.jsonl"))) == 24 + NEW


def test_a_cross_validation_is_no_run_to_come_after(finished_crossval: Path) -> None:
    with pytest.raises(UserError, match="name a single run"):
        with_earlier(config(after=finished_crossval / "outputs/cv", manifest=["new.jsonl"]))


def test_what_brings_nothing_is_told_before_any_training(old: Path, capsys) -> None:
    """Its own clips again, and a new one that no split can place; a corrected text is enough."""
    rows = read_jsonl(old / "manifests/clean.jsonl")
    nameless = {"audio_filepath": "new/n1.flac", "text": "Whose voice is not named."}
    again = [{k: r[k] for k in ("audio_filepath", "text", "speaker")} for r in rows[:2]]
    write_jsonl(Path("again.jsonl"), [nameless, *again])
    flags = ["--max-steps", "1", "--general", "off", "--after", str(old)]
    assert main(["run", *flags, "--manifest", "again.jsonl", "--run-name", "new"]) == 2
    said = capsys.readouterr().err
    assert "no clip of --manifest is new or has another text" in said
    assert "dropped.jsonl" in said
    again[0]["text"] = "What was said in truth."
    write_jsonl(Path("again.jsonl"), again)
    assert main(["run", *flags, "--manifest", "again.jsonl", "--run-name", "newer"]) in (0, 1)
    told = capsys.readouterr().out
    assert f"0 clips more than in {old}." in told
    assert "1 text of its clips is another now: " in told
    assert sum(json.loads(Path("outputs/newer/new_clips.json").read_text())["corrected"].values())


def test_what_a_review_dropped_does_not_come_back(old: Path, capsys) -> None:
    """Of the earlier run's clips; another's clips of the same name stay."""
    rows = read_jsonl(old / "manifests/clean.jsonl")
    gone = {**rows[3], "file": "manifest.jsonl", "row": 4, "reason": "noise"}
    write_jsonl(Path("new.left_out.jsonl"), [gone])
    words = ["sample", "--after", str(old), "--manifest", "new.jsonl", "--run-name", "new"]
    assert main([*words, "--general", "off"]) == 0
    left = [row["id"] for row in read_jsonl(Path("outputs/new/manifests/sampled.jsonl"))]
    assert rows[3]["id"] not in left
    assert len(left) == len(rows) - 1 + NEW
    [dropped] = read_jsonl(Path("outputs/new/manifests/dropped.jsonl"))
    assert (dropped["id"], dropped["reason"]) == (rows[3]["id"], "dropped in a review")
    assert dropped["detail"] == "is in new.left_out.jsonl"


def test_what_its_split_left_out_is_new_to_none_that_comes_after(
    old: Path, tiny_model: Path, capsys, monkeypatch
) -> None:
    """Of more clips than a training hears it kept some; the next run has none of the others, and
    nor has the one after that, though the growing manifest lists them all."""
    given = ["--general", "off", "--max-steps", "1", "--grad-accum", "1"]

    def done(name: str, *flags: str) -> dict[str, str]:
        for words in (["sample", "--run-name", name, *flags, *given], ["clean"], ["split"]):
            where = [] if words[0] == "sample" else [f"outputs/{name}"]
            assert main([*words, *where]) == 0
        return splits(Path("outputs") / name)

    def finished(name: str) -> None:
        for stage in ("labels", "baseline", "train", "evaluate"):
            assert main([stage, f"outputs/{name}"]) == 0

    all_rows = read_jsonl(old / "manifests/clean.jsonl")
    write_jsonl(Path("all.jsonl"), list(read_jsonl(old / "manifests/clean.jsonl")))
    monkeypatch.setattr("moontune.pipeline.stages.split._SEVERAL", 4)
    monkeypatch.setattr("moontune.pipeline.stages.split.clips_heard", lambda config: 4)
    first = done("first", "--manifest", "all.jsonl", "--model-id", str(tiny_model))
    cut = {row["id"] for row in all_rows} - set(first)
    assert cut
    finished("first")
    new = [dict(row) for row in read_jsonl(Path("new.jsonl"))]
    write_jsonl(Path("more.jsonl"), [*read_jsonl(Path("all.jsonl")), *new[:4]])
    capsys.readouterr()
    second = done("second", "--after", "outputs/first", "--manifest", "more.jsonl")
    assert "4 new clips" in capsys.readouterr().out
    assert set(second) == set(first) | {row["id"] for row in new[:4]}
    finished("second")
    write_jsonl(Path("most.jsonl"), [*read_jsonl(Path("more.jsonl")), *new[4:]])
    capsys.readouterr()
    third = done("third", "--after", "outputs/second", "--manifest", "most.jsonl")
    assert f"{NEW - 4} new clips" in capsys.readouterr().out
    assert not cut & set(third)
    reasons = {
        r["id"]: r["reason"] for r in read_jsonl(Path("outputs/third/manifests/dropped.jsonl"))
    }
    assert {reasons[name] for name in cut} == {"left out by the earlier split"}


def test_of_new_clips_too_no_more_than_a_training_hears_are_kept(old: Path, monkeypatch) -> None:
    monkeypatch.setattr("moontune.pipeline.stages.split._SEVERAL", 2)
    monkeypatch.setattr("moontune.pipeline.stages.split.clips_heard", lambda config: 2)
    before, after = splits(old), {}
    flags = ["--after", str(old), "--manifest", "new.jsonl", "--general", "off"]
    assert main(["sample", *flags, "--run-name", "new"]) == 0
    assert main(["clean", "outputs/new"]) == 0
    assert main(["split", "outputs/new"]) == 0
    after = splits(Path("outputs/new"))
    assert {name: after[name] for name in before} == before
    trained = [name for name in after if name not in before and after[name] == "train"]
    assert len(trained) == 2
    left_out = json.loads(Path("outputs/new/split.json").read_text())["left_out"]
    assert len(after) == len(before) + NEW - sum(left_out.values())
