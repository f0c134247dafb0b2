"""The whole run on the tiny model: what it leaves, and what each stage may rely on."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from builders import flags

from moontune.cli.dispatch import main
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.files import read_jsonl as rows_of


def test_everything_promised_is_in_the_runs_folder(finished_run) -> None:
    where, code = finished_run
    run = where / "outputs/r"
    assert code in (0, 1)
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["accepted"] == (code == 0)
    for name in (
        "lora_adapter/adapter_config.json",
        "lora_adapter/adapter_model.safetensors",
        "processor/tokenizer.json",
        "config.toml",
        "manifests/train.jsonl",
        "manifests/val.jsonl",
        "manifests/test.jsonl",
        "train_log.jsonl",
        "predictions_base.jsonl",
        "predictions_tuned.jsonl",
        "artifact_test.json",
        "report.md",
        "report.html",
    ):
        assert (run / name).stat().st_size > 0, name
    assert "## r" in (where / "outputs/training_report.md").read_text()
    assert json.loads((run / "run.json").read_text())["complete"] is True
    assert not [p for p in run.rglob("*") if p.name.startswith(".")]  # no half-written files


def test_metrics_hold_what_made_them(finished_run) -> None:
    metrics = json.loads((finished_run[0] / "outputs/r/metrics.json").read_text())
    for key in ("baseline", "tuned", "difference", "verdict", "stability", "timings_s", "config"):
        assert metrics[key], key
    assert metrics["environment"]["versions"]["torch"]
    assert metrics["environment"]["commands"][0][0] == "run"
    assert "EnglishTextNormalizer" in metrics["tuned"]["normalizer"]
    assert metrics["baseline"]["manifest"] == metrics["tuned"]["manifest"]
    assert metrics["baseline"]["utterances"] == metrics["split"]["test"]["utterances"]
    assert metrics["leakage"]["speaker"] == 0
    assert metrics["difference"]["loss"] == pytest.approx(
        metrics["tuned"]["loss"] - metrics["baseline"]["loss"]
    )


def test_artifact_gives_the_evaluations_tokens_in_a_fresh_process(finished_run) -> None:
    run = finished_run[0] / "outputs/r"
    artifact = json.loads((run / "artifact_test.json").read_text())
    tuned = {row["id"]: row for row in rows_of(run / "predictions_tuned.jsonl")}
    assert artifact["identical_tokens"] is True
    assert artifact["command"][-2:] == ["--token-margin", "8"]
    assert "at most int(seconds x 6.5) + 8 tokens" in (run / "report.md").read_text()
    assert 3 <= len(artifact["clips"]) <= 5
    for clip in artifact["clips"]:
        assert clip["tokens"] == tuned[clip["id"]]["tokens"]
        assert clip["reference"] == tuned[clip["id"]]["reference"]
        assert Path(clip["audio_filepath"]).is_file()
    assert artifact["wer"] is not None


def test_figures_can_be_computed_again_from_the_predictions(finished_run) -> None:
    run = finished_run[0] / "outputs/r"
    metrics = json.loads((run / "metrics.json").read_text())
    for which, key in (("base", "baseline"), ("tuned", "tuned")):
        rows = rows_of(run / f"predictions_{which}.jsonl")
        errors = sum(sum(v for k, v in r["edits"].items() if k != "words") for r in rows)
        words = sum(r["edits"]["words"] for r in rows)
        assert metrics[key]["wer"] == pytest.approx(errors / words)
        tokens = sum(r["target_tokens"] for r in rows)
        assert metrics[key]["loss"] == pytest.approx(sum(r["loss"] for r in rows) / tokens)


def test_score_computes_the_runs_figures_without_torch(finished_run) -> None:
    """In a process of its own, as `moontune score RUN` runs."""
    where, _ = finished_run
    code = (
        "import sys, moontune.cli as c\n"
        "assert c.main(['score', 'outputs/r', '--json', 'score.json']) == 0\n"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=where, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    metrics = json.loads((where / "outputs/r/metrics.json").read_text())
    assert json.loads((where / "score.json").read_text()) == metrics["comparison"]
    assert metrics["comparison"]["sentences"]["wer"] in done.stdout


def test_report_page_holds_the_verdict_and_plays_clips(finished_run) -> None:
    page = (finished_run[0] / "outputs/r/report.html").read_text()
    assert "cannot be told apart" in page or "is better" in page or "is worse" in page
    assert "base" in page
    assert len(page) < 5_000_000


def test_two_runs_are_compared_or_refused_with_the_reason(
    finished_run, tmp_path, monkeypatch, capsys, tiny_model, noise_manifest
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run[0] / "outputs/r", "outputs/r")
    assert main(["run", *flags(tiny_model, noise_manifest, "longer", max_steps=6)]) in (0, 1)
    capsys.readouterr()
    assert main(["compare", "outputs/r", "outputs/longer"]) == 0
    assert "WER" in capsys.readouterr().out
    page = Path("outputs/compare-r-longer.html").read_text()
    assert "max_steps" in page  # what differs between the two
    assert main(["compare", "outputs/r", "outputs/r"]) == 2
    assert "is one run" in capsys.readouterr().err
    assert main(["compare", "outputs/r", "outputs/longer", "--output", "outputs/r/x.html"]) == 2
    assert "inside a run" in capsys.readouterr().err
    assert main(["compare", "outputs/r", "outputs/longer", "--output", "x.md"]) == 2
    assert "ends in .html" in capsys.readouterr().err
    assert "# r and longer" in Path("outputs/compare-r-longer.md").read_text()
    shutil.copytree("outputs/longer", "outputs/other")
    file = Path("outputs/other/eval_tuned.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"audio": "of another split"}))
    assert main(["compare", "outputs/r", "outputs/other"]) == 2
    assert "their test clips are not the same recordings" in capsys.readouterr().err


def test_an_older_runs_predictions_are_told_apart(
    finished_run, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run[0] / "outputs/r", "outputs/r")
    rows = rows_of(Path("outputs/r/predictions_base.jsonl"))
    for row in rows:
        del row["loss_words"]
    Path("outputs/r/predictions_base.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in rows)
    )
    assert main(["verdict", "outputs/r"]) == 2
    assert "moontune baseline outputs/r --overwrite" in capsys.readouterr().err


def test_a_run_without_general_speech_manifests_is_measured_again_without_training_again(
    finished_run, tmp_path, monkeypatch, capsys, tiny_model, noise_manifest
) -> None:
    """As an older moontune left them."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run[0] / "outputs/r", "outputs/r")
    for file in Path("outputs/r/manifests").glob("*"):
        if file.name.startswith(("general", "replay")):
            file.unlink()
    assert main(["baseline", "outputs/r", "--overwrite"]) == 0
    assert "train" in json.loads(Path("outputs/r/run.json").read_text())["stages"]
    assert main(["run", "--resume", "--run-name", "r"]) in (0, 1)
    assert "train the adapter" not in capsys.readouterr().out
    assert json.loads(Path("outputs/r/run.json").read_text())["complete"]


def test_score_refuses_figures_measured_under_two_conditions(
    finished_run, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run[0] / "outputs/r", "outputs/r")
    file = Path("outputs/r/eval_base.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"audio": "other"}))
    assert main(["score", "outputs/r"]) == 2
    assert "differ in audio" in capsys.readouterr().err


def test_training_log_is_a_stream_of_updates_and_validations(finished_run) -> None:
    rows = rows_of(finished_run[0] / "outputs/r/train_log.jsonl")
    assert [r["step"] for r in rows if r["event"] == "update"] == [1, 2, 3, 4]
    assert [r["step"] for r in rows if r["event"] == "validation"] == [0, 2, 4]


def test_stages_one_by_one_give_the_same_run(
    finished_run, tmp_path, monkeypatch, tiny_model, noise_manifest
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["sample", *flags(tiny_model, noise_manifest)]) == 0
    for verb in ("clean", "split", "labels", "baseline", "train", "evaluate", "artifact"):
        assert main([verb, "outputs/r"]) == 0, verb
    assert main(["verdict", "outputs/r"]) in (0, 1)
    assert main(["report", "outputs/r"]) in (0, 1)
    ours, whole = Path("outputs/r"), finished_run[0] / "outputs/r"
    for name in ("lora_adapter/adapter_model.safetensors", "predictions_tuned.jsonl"):
        assert (ours / name).read_bytes() == (whole / name).read_bytes(), name
    for name in ("baseline", "tuned", "difference", "accepted"):
        assert (
            json.loads((ours / "metrics.json").read_text())[name]
            == json.loads((whole / "metrics.json").read_text())[name]
        )


def test_stage_order_redo_and_overrides(
    tmp_path, monkeypatch, capsys, tiny_model, noise_manifest
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["sample", *flags(tiny_model, noise_manifest)]) == 0
    assert main(["split", "outputs/r"]) == 2
    assert "needs `moontune clean` first" in capsys.readouterr().err
    assert main(["clean", "outputs/r", "--min-duration-s", "1.2"]) == 0
    assert "too short" in capsys.readouterr().out
    assert main(["clean", "outputs/r"]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main(["split", "outputs/r"]) == 0
    assert main(["clean", "outputs/r", "--overwrite", "--min-duration-s", "0.3"]) == 0
    stages = json.loads(Path("outputs/r/run.json").read_text())["stages"]
    assert list(stages) == ["sample", "clean"]  # the split was made from what is gone
    assert "min_duration_s = 0.3" in Path("outputs/r/config.toml").read_text()


def test_clips_that_no_training_would_hear_are_left_out_before_they_are_labelled(
    tmp_path, monkeypatch, capsys, tiny_model, noise_manifest
) -> None:
    """Hours of audio would wait for minutes of training else; a longer training says so."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("moontune.pipeline.stages.split._SEVERAL", 3)
    given = {"max_steps": 2, "backwards_share": 0.0}
    assert main(["sample", *flags(tiny_model, noise_manifest, **given)]) == 0
    assert main(["clean", "outputs/r"]) == 0
    assert main(["split", "outputs/r"]) == 0
    told = capsys.readouterr().out
    run = RunDir(Path("outputs/r"))
    split = run.read("split.json")
    assert 0 < split["left_out"]["train"] <= 18 - 4
    left_out = split["left_out"]["train"]
    assert f"of train, {left_out} clips were left out at random, and 4 kept: a" in told
    assert len(rows_of(run.manifest("train"))) == split["shares"]["train"]["utterances"] == 4
    for verb in ("labels", "baseline"):
        assert main([verb, "outputs/r"]) == 0, verb
    heard = json.dumps(run.read("base_transcripts.json"))
    clips = {row["id"] for row in rows_of(run.manifest("clean"))}
    kept = {row["id"] for n in ("train", "val", "test") for row in rows_of(run.manifest(n))}
    assert {name for name in clips if f'"{name}"' in heard} == kept < clips
    assert main(["train", "outputs/r"]) == 0
    assert "moontune split" not in "".join(capsys.readouterr())
    assert main(["train", "outputs/r", "--max-steps", "9", "--overwrite"]) == 0
    told = "".join(capsys.readouterr())
    assert "this training hears 18 clips, and the split kept 4" in told
    assert "moontune split outputs/r --overwrite keeps as many" in told
    assert main(["split", "outputs/r", "--overwrite"]) == 0
    assert "train" not in run.read("split.json")["left_out"]


def test_existing_run_is_refused_resumed_or_replaced(
    tmp_path, monkeypatch, capsys, tiny_model, noise_manifest
) -> None:
    monkeypatch.chdir(tmp_path)
    given = flags(tiny_model, noise_manifest, max_steps=1)
    assert main(["sample", *given]) == 0
    assert main(["clean", "outputs/r"]) == 0
    marker = Path("outputs/r/manifests/clean.jsonl").stat().st_mtime_ns
    assert main(["run", *given]) == 2
    message = capsys.readouterr().err
    assert "--resume" in message
    assert "--overwrite" in message
    assert main(["run", *given, "--resume", "--lr", "1e-5"]) == 2
    assert "lr = 1e-05 differs" in capsys.readouterr().err
    assert main(["run", "--run-name", "r", "--resume"]) in (0, 1)
    assert Path("outputs/r/manifests/clean.jsonl").stat().st_mtime_ns == marker  # not repeated
    metrics = json.loads(Path("outputs/r/metrics.json").read_text())
    assert [c[0] for c in metrics["environment"]["commands"]] == ["sample", "clean", "run"]
    for wrong in (["--manifest", "none.jsonl"], ["--source", "synthetic", "--utterances", "6000"]):
        assert main(["sample", "--run-name", "r", "--overwrite", *wrong]) == 2
        assert Path("outputs/r/metrics.json").exists()  # a mistake replaces nothing
    assert main(["sample", *given, "--overwrite"]) == 0
    assert not Path("outputs/r/metrics.json").exists()
    assert {p.name for p in Path("outputs").iterdir()} == {"r", "training_report.md"}


def test_a_failed_stage_undoes_nothing(tmp_path, monkeypatch, finished_run) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run[0] / "outputs", "outputs")
    before = {n: Path(f"outputs/r/{n}").read_text() for n in ("run.json", "config.toml")}
    assert main(["train", "outputs/r", "--overwrite", "--device", "mps", "--lr", "1e-4"]) == 2
    assert {n: Path(f"outputs/r/{n}").read_text() for n in before} == before


def test_a_run_older_than_a_setting_did_without(tmp_path, finished_run) -> None:
    run = RunDir(tmp_path / "r")
    shutil.copytree(finished_run[0] / "outputs/r", run.path)
    file, before = run / "config.toml", run.config()
    newer = ("backwards_share", "wise_ft", "token_dropout", "token_margin", "dtype")
    lines = file.read_text().splitlines()
    file.write_text("\n".join(line for line in lines if not line.startswith(newer)))
    train, ours = run.config().train, before.train
    assert (train.backwards_share, train.wise_ft, train.token_dropout) == (0.0, 1.0, 0.0)
    assert (ours.backwards_share, ours.wise_ft, ours.token_dropout) != (0.0, 1.0, 0.0)
    assert run.config().eval.token_margin == 2 < before.eval.token_margin


def test_resume_may_change_the_report_and_nothing_else(
    tmp_path, monkeypatch, capsys, finished_run
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run[0] / "outputs", "outputs")
    Path("c.toml").write_text("lr = 1e-5\n")
    for change in (["--config", "c.toml"], ["--model-id", "bundled"], ["--seed", "9"]):
        assert main(["run", "--run-name", "r", "--resume", *change]) == 2
        assert "differs from the run's" in capsys.readouterr().err
    assert main(["run", "--run-name", "r", "--resume", "--preset", "offline"]) == 2
    assert main(["run", "--run-name", "r", "--resume", "--report-file", "other.md"]) in (0, 1)
    sentence = json.loads(Path("outputs/r/metrics.json").read_text())["verdict"]["rule"]
    assert sentence in Path("other.md").read_text()


def test_other_base_weights_are_refused(
    tmp_path, monkeypatch, capsys, finished_run, tiny_model
) -> None:
    from safetensors.torch import load_file, save_file

    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run[0] / "outputs", "outputs")
    shutil.copytree(tiny_model, "model")
    weights = Path("model/model.safetensors")
    save_file({k: v + 0.01 for k, v in load_file(weights).items()}, weights, {"format": "pt"})
    config = Path("outputs/r/config.toml")
    config.write_text(config.read_text().replace(str(tiny_model), "model"))
    assert main(["evaluate", "outputs/r", "--overwrite"]) == 2
    assert "weights are not those of stage labels" in capsys.readouterr().err


def test_a_run_goes_on_from_another_folder(
    tmp_path, monkeypatch, tiny_model, noise_manifest
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_model, "here/model")
    monkeypatch.chdir(tmp_path / "here")
    given = flags(Path("./model"), noise_manifest, max_steps=1, eval_every_steps=1)
    assert main(["sample", *given]) == 0
    monkeypatch.chdir(tmp_path)
    for verb in ("clean", "split", "labels", "baseline"):
        assert main([verb, "here/outputs/r"]) == 0, verb


def test_audio_that_vanished_and_damaged_files_are_one_line(
    tmp_path, monkeypatch, capsys, finished_run, noise_manifest
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run[0] / "outputs", "outputs")
    test = Path("outputs/r/manifests/test.jsonl")
    good = test.read_text()
    test.write_text(good.replace(str(noise_manifest.parent), "/nowhere"))
    assert main(["baseline", "outputs/r", "--overwrite"]) == 2
    assert "/nowhere/audio/" in capsys.readouterr().err
    test.write_text(good)
    assert "verdict" in RunDir(Path("outputs/r")).stages()  # nothing was given up
    assert main(["baseline", "outputs/r", "--overwrite"]) == 0
    for name, words, remedy in (
        ("eval_base.json", ["evaluate", "outputs/r"], "moontune baseline outputs/r --overwrite"),
        ("run.json", ["report", "outputs/r"], ""),
        ("train.json", ["run", "--resume", "--run-name", "r"], "moontune train outputs/r --over"),
    ):
        kept = Path(f"outputs/r/{name}").read_text()
        Path(f"outputs/r/{name}").write_text("[]" if name == "run.json" else kept[:30])
        assert main(words) == 2
        err = capsys.readouterr().err.strip()
        assert name in err
        assert remedy in err
        assert "\n" not in err
        Path(f"outputs/r/{name}").write_text(kept)


def test_a_folder_that_is_no_run_is_never_overwritten(
    tmp_path, monkeypatch, capsys, tiny_model, noise_manifest
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("outputs/r").mkdir(parents=True)
    Path("outputs/r/thesis.txt").write_text("years of work")
    assert main(["run", *flags(tiny_model, noise_manifest), "--overwrite"]) == 2
    assert "not a run of moontune" in capsys.readouterr().err
    assert Path("outputs/r/thesis.txt").read_text() == "years of work"


def test_evaluations_that_differ_are_not_compared(
    tmp_path, monkeypatch, capsys, finished_run
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run[0] / "outputs", "outputs")
    base = json.loads(Path("outputs/r/eval_base.json").read_text())
    Path("outputs/r/eval_base.json").write_text(json.dumps(base | {"normalizer": "other 1.0"}))
    assert main(["evaluate", "outputs/r", "--overwrite"]) == 2
    assert "another normalizer" in capsys.readouterr().err


def test_the_fresh_process_gets_the_commit_that_was_evaluated(tmp_path, finished_run) -> None:
    """Else a hub that moved on between the two would give it another model."""
    from moontune.pipeline.run_folder.opening import open_run, pinned_revision

    shutil.copytree(finished_run[0] / "outputs/r", tmp_path / "r")
    run = open_run(tmp_path / "r")
    assert pinned_revision(run, run.config()) is None
    facts = run.stages()["evaluate"]
    facts["base"] |= {"from_hub": True, "revision": "a" * 40}
    run.finish_stage("evaluate", facts)
    assert pinned_revision(run, run.config()) == "a" * 40


def test_every_fold_gets_the_commit_that_the_first_one_took(tmp_path, finished_crossval) -> None:
    """Else a hub that moves on within hours would be noticed at the end, and cost them."""
    from moontune.pipeline.run_folder.opening import open_run, pinned_revision

    shutil.copytree(finished_crossval / "outputs/cv", tmp_path / "cv")
    first, third = (open_run(tmp_path / "cv" / name) for name in ("fold-1", "fold-3"))
    assert pinned_revision(third, third.config()) is None
    facts = first.stages()["labels"]
    facts["base"] |= {"from_hub": True, "revision": "a" * 40}
    first.finish_stage("labels", facts)
    assert pinned_revision(third, third.config()) == "a" * 40
    shutil.copytree(third.path, tmp_path / "alone")
    alone = open_run(tmp_path / "alone")
    assert pinned_revision(alone, alone.config()) is None


def test_a_tampered_adapter_fails_the_artifact_test(tmp_path, monkeypatch, finished_run) -> None:
    """The fresh process must compare, not assume: other weights give other words."""
    from safetensors.torch import load_file, save_file

    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run[0] / "outputs", "outputs")
    weights = Path("outputs/r/lora_adapter/adapter_model.safetensors")
    save_file({k: v + 0.5 for k, v in load_file(weights).items()}, weights, {"format": "pt"})
    assert main(["artifact", "outputs/r", "--overwrite"]) == 0
    assert main(["verdict", "outputs/r"]) == 1
    metrics = json.loads(Path("outputs/r/metrics.json").read_text())
    failed = [c["name"] for c in metrics["verdict"]["checks"] if not c["passed"]]
    assert "same words in a fresh process" in failed


def test_days_stay_on_one_side_and_are_what_is_resampled(
    tmp_path, monkeypatch, capsys, tiny_model, noise_manifest
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = rows_of(noise_manifest)
    for i, row in enumerate(rows):
        row["audio_filepath"] = str(noise_manifest.parent / row["audio_filepath"])
        row["speaker"], row["date"] = None, f"2024-05-{1 + i // 2:02}T10:0{i % 2}"
    Path("m.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = flags(tiny_model, Path("m.jsonl"), test_share=0.45, max_steps=2)
    assert main(["run", *given]) in (0, 1)
    said = " ".join(capsys.readouterr().out.split())
    assert "kept on one side: clips of one date (12); 12 groups" in said
    run = Path("outputs/r")
    days = [
        {row["date"] for row in rows_of(run / f"manifests/{name}.jsonl")}
        for name in ("train", "val", "test")
    ]
    assert sum(map(len, days)) == 12
    assert json.loads((run / "split.json").read_text())["kept_together"]["sessions"] == 12
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["kept_together"]["session_field"] == "date"
    assert metrics["comparison"]["bootstrap"]["unit"] == "session"
    assert metrics["comparison"]["bootstrap"]["units"] == len(days[2]) >= 5
    report = (run / "report.md").read_text()
    assert "Kept on one side: clips of one date (12); 12 groups. Shared between splits" in report
    assert "sessions, 10000 resamples" in report
    assert "other sessions of the same kind" in (run / "report.html").read_text()
    assert main(["score", "outputs/r", "--json", "score.json"]) == 0
    assert json.loads(Path("score.json").read_text()) == metrics["comparison"]


def test_a_run_whose_base_was_moved_says_where_to_name_its_place(
    finished_run, tiny_model, tmp_path, capsys
) -> None:
    """No flag of these verbs names a base."""
    run = shutil.copytree(finished_run[0] / "outputs/r", tmp_path / "r")
    settings = (run / "config.toml").read_text()
    assert str(tiny_model) in settings
    (run / "config.toml").write_text(settings.replace(str(tiny_model), "/gone/tiny"))
    done = RunDir(run).stages()
    for words in (["evaluate", "--overwrite"], ["baseline", "--overwrite"], ["export"]):
        assert main([words[0], str(run), *words[1:]]) == 2
        said = capsys.readouterr().err
        assert "its base is not at /gone/tiny any more; bring it back, or name its place as" in said
        assert said.endswith(f"model_id in {run / 'config.toml'}\n")
    assert RunDir(run).stages() == done
    (run / "config.toml").write_text(settings)
    assert main(["evaluate", str(run), "--overwrite"]) == 0
    assert main(["labels", str(run), "--overwrite", "--model-id", "./none"]) == 2
    assert "--model-id ./none: no such folder" in capsys.readouterr().err
