"""Cross-validation: every clip tested once, by an adapter that never met its speaker."""

from __future__ import annotations

import io
import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import flags, speakers, utterances
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_page import row

from moontune.cli.console import ConsoleUi
from moontune.cli.dispatch import main
from moontune.data.splitting import SPLITS, split_folds
from moontune.errors import UserError
from moontune.evaluation.acceptance import forgetting
from moontune.evaluation.measures import Comparison
from moontune.evaluation.predictions import PredictionRow
from moontune.models.transcriber import Transcriber
from moontune.pipeline.experiments.crossval.cautions import cautions_of
from moontune.pipeline.experiments.crossval.general_speech import compare_over_folds
from moontune.pipeline.experiments.crossval.pooling import pool
from moontune.pipeline.experiments.crossval.results import FoldResults
from moontune.pipeline.experiments.final import open_crossval
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.files import read_jsonl, write_json, write_jsonl
from moontune.training.summary import TrainingSummary


@settings(max_examples=30)
@given(speakers, st.integers(3, 5), st.integers(0, 1000))
def test_each_clip_is_tested_once_and_no_speaker_stands_in_two_splits(by_speaker, folds, seed):
    rows = utterances(by_speaker)
    if folds > len(by_speaker):
        with pytest.raises(UserError, match=f"give --folds {len(by_speaker)}"):
            split_folds(rows, folds=folds, val_share=0.1, seed=seed)
        return
    done = split_folds(rows, folds=folds, val_share=0.1, seed=seed)
    assert len(done) == folds
    tested = Counter(u.id for split in done for u in split.parts["test"])
    assert tested == Counter(u.id for u in rows)
    for split in done:
        sets = [{u.speaker for u in split.parts[name]} for name in SPLITS]
        assert all(sets)
        assert sum(map(len, sets)) == len(by_speaker)
        assert sum(len(p) for p in split.parts.values()) == len(rows)


def test_a_fold_a_speaker_leaves_each_out_once():
    rows = utterances({"a": [9.0] * 20, "b": [1.0], "c": [2.0, 2.0], "d": [1.0]})
    done = split_folds(rows, folds="speaker", val_share=0.1, seed=1)
    assert {tuple(sorted({str(u.speaker) for u in s.parts["test"]})) for s in done} == {
        (n,) for n in "abcd"
    }


def test_the_pooled_figures_are_those_of_every_clip_tested_once(
    finished_crossval, noise_manifest
) -> None:
    run = finished_crossval / "outputs/cv"
    found = json.loads((run / "crossval.json").read_text())
    rows = {w: read_jsonl(run / f"predictions_{w}.jsonl") for w in ("base", "tuned")}
    wanted = [json.loads(line)["text"] for line in noise_manifest.read_text().splitlines()]
    for which in rows:
        assert sorted(r["reference"] for r in rows[which]) == sorted(wanted)
    loss = sum(r["loss"] for r in rows["tuned"]) / sum(r["target_tokens"] for r in rows["tuned"])
    assert found["comparison"]["measures"]["loss"]["after"] == pytest.approx(loss)
    assert found["comparison"]["utterances"] == 24
    assert [f["fold"] for f in found["folds"]] == ["fold-1", "fold-2", "fold-3"]
    for fold in found["folds"]:
        folder = run / fold["fold"]
        heard = {r["speaker"] for r in read_jsonl(folder / "predictions_tuned.jsonl")}
        trained = {r["speaker"] for n in ("train", "val") for r in manifest(folder, n)}
        assert heard
        assert not heard & trained
    assert json.loads((run / "run.json").read_text())["complete"]
    report = (run / "report.md").read_text()
    assert "cross-validation" in report
    assert "fold-3" in report
    assert (
        report[2:].split("\n")[0] in (finished_crossval / "outputs/training_report.md").read_text()
    )
    assert "cross-validation, 3 folds" in (run / "report.html").read_text()


def manifest(folder: Path, name: str) -> list[dict]:
    return read_jsonl(folder / f"manifests/{name}.jsonl")


def test_it_can_be_scored_and_compared_like_a_run(
    finished_crossval, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_crossval / "outputs", "outputs")
    assert main(["score", "outputs/cv"]) == 0
    assert "24 clips" in capsys.readouterr().out
    shutil.copytree("outputs/cv", "outputs/other")
    assert main(["compare", "outputs/cv", "outputs/other"]) == 0
    assert "WER" in capsys.readouterr().out


def test_an_interrupted_one_goes_on_with_what_is_left(
    finished_crossval, tmp_path, monkeypatch, capsys, tiny_model, noise_manifest
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_crossval / "outputs", "outputs")
    record = Path("outputs/cv/fold-2/run.json")
    content = json.loads(record.read_text())
    for name in ("train", "evaluate"):
        del content["stages"][name]
    record.write_text(json.dumps(content))
    again = ["crossval", "--resume", *flags(tiny_model, noise_manifest, "cv")]
    assert main([*again, "--folds", "4"]) == 2
    assert "keeps its folds" in capsys.readouterr().err
    adapter = "lora_adapter/adapter_model.safetensors"
    untouched = Path("outputs/cv/fold-1", adapter).stat().st_mtime_ns
    assert main(["crossval", "--resume", "--run-name", "cv"]) == 0
    out = capsys.readouterr().out
    assert "fold 2: train" in out
    assert "fold 1" not in out
    assert "fold 2: labels" not in out
    assert Path("outputs/cv/fold-1", adapter).stat().st_mtime_ns == untouched
    same = [
        Path(root, "outputs/cv/fold-2", adapter).read_bytes()
        for root in (finished_crossval, tmp_path)
    ]
    assert same[0] == same[1]


def test_a_fold_is_a_run_and_can_be_finished_as_one(
    finished_crossval, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_crossval / "outputs", "outputs")
    code = main(["run", "--resume", "--run-name", "fold-1", "--output-dir", "outputs/cv"])
    assert code in (0, 1)
    assert json.loads(Path("outputs/cv/fold-1/artifact_test.json").read_text())["identical_tokens"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--folds", "2"], "give 3 or more"),
        (["--folds", "9"], "give --folds 8"),
        (["--folds", "many"], "--folds"),
    ],
)
def test_folds_that_cannot_be_are_refused_before_anything_is_written(
    words, said, tmp_path, monkeypatch, capsys, tiny_model, noise_manifest
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["crossval", *flags(tiny_model, noise_manifest, "cv"), *words]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
    assert not Path("outputs").exists() or not any(Path("outputs").iterdir())


def test_stages_and_runs_are_not_mistaken_for_it(
    finished_crossval, tmp_path, monkeypatch, capsys, tiny_model, noise_manifest
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_crossval / "outputs", "outputs")
    assert main(["train", "outputs/cv", "--overwrite"]) == 2
    assert "fold-1" in capsys.readouterr().err
    assert main(["run", "--resume", "--run-name", "cv"]) == 2
    assert "moontune crossval --resume" in capsys.readouterr().err


def test_folds_share_the_bases_transcripts_and_have_the_labels_of_a_run(
    tmp_path, monkeypatch, tiny_model, noise_manifest
) -> None:
    """References in capitals get the base's style; every clip is transcribed once for it."""
    monkeypatch.chdir(tmp_path)
    rows = [json.loads(line) for line in noise_manifest.read_text().splitlines()]
    for one in rows:
        one["text"] = one["text"].upper()
        one["audio_filepath"] = str(noise_manifest.parent / one["audio_filepath"])
    Path("caps.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    asked: list[int] = []
    real = Transcriber.encode
    monkeypatch.setattr(
        Transcriber, "encode", lambda self, clips: (asked.append(len(clips)), real(self, clips))[1]
    )
    more = {"max_steps": 1, "lr": 1e-3, "backwards_share": 0}
    words = flags(tiny_model, Path("caps.jsonl"), "cv", **more)
    assert main(["crossval", *words, "--folds", "3"]) == 0
    listened = sum(
        2 * len(read_jsonl(Path(f"outputs/cv/fold-{n}/manifests/val.jsonl"))) for n in (1, 2, 3)
    )  # to validation clips, whether what was trained still writes speech
    # Once for labels, once each by base and tuned model.
    assert sum(asked) == 3 * 24 + listened
    fold = Path("outputs/cv/fold-2")
    names = ["base_transcripts.json", *(f"manifests/{name}.jsonl" for name in SPLITS)]
    shared = [(fold / name).read_bytes() for name in names]
    assert main(["labels", str(fold), "--overwrite"]) == 0
    assert [(fold / name).read_bytes() for name in names] == shared


def training(**row: Any) -> TrainingSummary:
    figures = ("steps", "best_step", "first_val_loss", "best_val_loss", "seconds")
    counts = ("utterances_seen", "seconds_validating", "trainable_parameters")
    whole = dict.fromkeys((*figures, *counts), 1) | {"skipped": 0, "stopped": "max_steps"}
    return TrainingSummary.from_json(whole | row)


def test_general_speech_is_pooled_over_the_folds_clip_by_clip() -> None:
    """Ten clips stay ten, however many adapters heard them."""
    said, lost = "The red boat sails home.", "The red boat sails."

    def heard(clips: int) -> list[PredictionRow]:
        return [row(f"g{i}", said, lost if i < clips else said, f"s{i}") for i in range(10)]

    found = compare_over_folds([heard(0)] * 3, [heard(3), heard(2), heard(1)], 1)
    assert (found.utterances, found.words, found.bootstrap.units) == (10, 50, 10)
    assert found.error_rate.before == 0
    assert found.error_rate.after == pytest.approx(6 / 150)
    assert "cannot be told apart with 10 clips of 10 speakers" in found.sentences["wer"]
    assert forgetting(found) == []
    looped: list[PredictionRow] = [
        {**r, "looped": {"hypothesis": "a a a a", "tokens": [], "truncated": True}}
        for r in heard(0)
    ]
    of_three = compare_over_folds([heard(0)] * 3, [heard(0), looped, heard(0)], 1)
    assert (of_three.looped.before, of_three.looped.after) == (0, 10)
    [told] = forgetting(compare_over_folds([heard(0)] * 3, [heard(9)] * 3, 1))
    assert "it forgot general speech: WER on 10 clips not trained on 0.00 % -> 18.00 %" in told


def test_what_the_folds_kept_of_general_speech_is_shown_and_told(
    finished_crossval, tmp_path, capsys
) -> None:
    """Its caution is not the final adapter's, which has a measurement of its own."""
    run = RunDir(shutil.copytree(finished_crossval / "outputs/cv", tmp_path / "outputs/cv"))
    said = "The red boat sails home."
    measured = RunDir(run / "fold-1").read("eval_base.json")
    for fold in (run.path, *run.path.glob("fold-*")):
        record = json.loads((fold / "run.json").read_text())
        record["stages"]["sample"]["general"] = {"source": "elsewhere", "rows": 10}
        write_json(fold / "general_eval_base.json", measured)
        write_json(fold / "run.json", record)
        for which, text in (("base", said), ("tuned", "The red boat.")):
            rows = [row(f"g{i}", said, text, f"s{i}") for i in range(10)]
            write_jsonl(fold / f"general_predictions_{which}.jsonl", rows)
    results = pool(run, run.config())
    told = "WER is worse: 0.00 % -> 40.00 %"
    assert told in (run / "report.md").read_text()
    assert "heard each of them; the figures are of all" in (run / "report.html").read_text()
    assert any("it forgot general speech" in text for text in results.cautions)
    ConsoleUi().crossval(results)
    assert f"General speech, not trained on: {told}" in capsys.readouterr().out
    assert not any("general speech" in text for text in open_crossval(run.path).cautions)


def test_folds_that_collapsed_or_exploded_are_told(finished_crossval, tmp_path) -> None:
    run = RunDir(finished_crossval / "outputs/cv")
    comparison = Comparison.from_json(run.read("crossval.json")["comparison"])
    assert comparison.collapsed is None
    fold = tmp_path / "fold-1"
    shutil.copytree(run / "fold-1", fold)
    with (fold / "train_log.jsonl").open("a") as log:
        log.write('{"event": "update", "step": 9, "grad_norm": 1e7}\n')
    refused = training(best_step=0, collapsed="of 9 transcripts 8 are empty")
    folds = [FoldResults(RunDir(fold), refused, {}, {}, None)]
    collapsed = replace(comparison, collapsed="of 24 transcripts 20 are empty")
    told = cautions_of(collapsed, folds)
    assert "Caution: the tuned models collapsed: of 24 transcripts 20 are empty." in told
    assert any("in fold-1 gradients exploded in 1 update" in text for text in told)
    assert any("in fold-1 the base was kept, not the update" in text for text in told)
    assert not any("no update was better" in text for text in told)


def test_the_best_of_one_fold_is_no_measure_for_the_next() -> None:
    out = io.StringIO()
    ui = ConsoleUi(out)
    for loss in (0.5, 1.0):
        ui.stage("train", "", 1, 2)
        ui.training({"event": "validation", "step": 0, "val_loss": loss}, 10)
    assert out.getvalue().count("(best)") == 2


def test_a_fold_done_again_with_other_settings_is_not_pooled(
    finished_crossval, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_crossval / "outputs", "outputs")
    assert main(["train", "outputs/cv/fold-1", "--overwrite", "--lr", "1e-3"]) == 0
    assert main(["crossval", "--resume", "--run-name", "cv"]) == 2
    assert "fold-1: has other train settings" in capsys.readouterr().err
    shutil.rmtree("outputs/cv/fold-1")
    assert main(["crossval", "--resume", "--run-name", "cv"]) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_a_run_and_an_unfinished_cross_validation_are_not_mistaken_for_each_other(
    tmp_path, monkeypatch, capsys, tiny_model, noise_manifest
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["sample", *flags(tiny_model, noise_manifest, "s", max_steps=1)]) == 0
    assert main(["crossval", "--resume", "--run-name", "s"]) == 2
    assert "is a single run" in capsys.readouterr().err
    assert main(["sample", "--resume", "--run-name", "s"]) == 2
    assert "use: moontune run --resume" in capsys.readouterr().err
    record = Path("outputs/s/run.json")
    older = json.loads(record.read_text()) | {"asked_folds": 9}
    assert older.pop("kind") == "run"  # older runs do not name theirs
    record.write_text(json.dumps(older))
    Path("outputs/s/fold-9").mkdir()  # killed while it was making them
    assert main(["run", "--resume", "--run-name", "s"]) == 2
    assert "crossval --resume" in capsys.readouterr().err
    assert main(["crossval", "--resume", "--run-name", "s", "--folds", "2"]) == 2
    assert "give 3 or more" in capsys.readouterr().err
    assert main(["crossval", "--resume", "--run-name", "s", "--folds", "3"]) == 0  # none was made
    assert json.loads(record.read_text())["folds"] == 3
    assert len(list(Path("outputs/s").glob("fold-*"))) == 3


def test_a_folds_split_is_not_its_own_to_change(finished_crossval: Path, capsys) -> None:
    """Every clip would no longer be tested once."""
    whole = finished_crossval / "outputs/cv"
    fold = whole / "fold-1"
    before = (fold / "split.json").read_bytes()
    for stage in ("clean", "split"):
        assert main([stage, str(fold), "--overwrite"]) == 2
        assert f"are what {whole} gave it" in capsys.readouterr().err
    assert (fold / "split.json").read_bytes() == before


def test_what_is_missing_names_the_command_that_makes_it_again(finished_crossval: Path) -> None:
    whole = RunDir(finished_crossval / "outputs/cv")
    fold = RunDir(whole / "fold-1")
    assert fold.again("train") == f"again: moontune train {fold.path} --overwrite"
    assert fold.again("split") == f"do {whole.path} again from the beginning, with --overwrite"
    assert whole.again("evaluate").startswith("again: moontune crossval --resume")
