"""What the training stage does with a training that went wrong."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from moontune.cli.console import ConsoleUi
from moontune.cli.dispatch import main
from moontune.config.schema import TokenCap
from moontune.data.manifest import read_manifest
from moontune.evaluation import kept_adapter
from moontune.evaluation.evaluate import evaluate
from moontune.models.decoding import Transcript
from moontune.models.transcriber import load_audio
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.pipeline.stages.train import TrainOptions, UnvalidatedTraining, train_stage
from moontune.pipeline.training import loops
from moontune.training import checkpoint
from moontune.training.losses import LossComputer
from moontune.training.objectives.word_errors import WordErrors


@pytest.fixture
def trained(finished_run, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run[0] / "outputs/r", "outputs/r")
    return Path("outputs/r")


def stopping_at(name: str, step: int) -> Callable[..., None]:
    """`ConsoleUi.training` that is interrupted once it has told of an event."""
    training = ConsoleUi.training

    def stopped(self: ConsoleUi, event: dict[str, Any], updates: int) -> None:
        training(self, event, updates)
        if event["event"] == name and event["step"] == step:
            raise KeyboardInterrupt

    return stopped


def test_an_update_whose_transcripts_collapse_is_not_kept(trained, monkeypatch, capsys) -> None:
    """However low its loss."""
    loop = Transcript("pink " * 30, [5] * 30, truncated=True)
    speech = Transcript("The red boat.", [5, 2], truncated=False)
    said = iter([[speech] * 3, [loop] * 3])
    monkeypatch.setattr(kept_adapter, "_transcripts", lambda done: next(said))
    assert main(["train", str(trained), "--overwrite", "--lr", "1e-2"]) == 0
    assert "is not kept" in capsys.readouterr().out
    told = json.loads((trained / "train.json").read_text())
    assert told["best_step"] == 0
    assert told["best_val_loss"] == told["first_val_loss"]
    weights = load_file(trained / "lora_adapter/adapter_model.safetensors")
    assert all(not w.any() for name, w in weights.items() if "lora_B" in name)
    for verb in ("evaluate", "artifact"):
        assert main([verb, str(trained)]) == 0
    assert main(["verdict", str(trained)]) == 1
    verdict = json.loads((trained / "metrics.json").read_text())["verdict"]
    [told] = [check for check in verdict["checks"] if check["name"] == "best update kept"]
    assert not told["passed"]
    assert "3 loop" in told["detail"]


def test_an_adapter_that_is_no_better_in_words_is_not_kept(trained, monkeypatch, capsys) -> None:
    """Its loss may have fallen by typography, or by texts that nobody says."""
    measure = loops._validation_words
    done = []

    def worse(training):
        done.append(measure(training))
        return replace(done[-1], loss_words=1.0 + 0.1 * len(done))

    monkeypatch.setattr(loops, "_validation_words", worse)
    assert main(["train", str(trained), "--overwrite", "--lr", "1e-2"]) == 0
    assert "the loss of words is 1.200, the base's 1.100" in capsys.readouterr().out
    told = json.loads((trained / "train.json").read_text())
    assert told["best_step"] == 0
    weights = load_file(trained / "lora_adapter/adapter_model.safetensors")
    assert all(not w.any() for name, w in weights.items() if "lora_B" in name)


def test_where_most_words_are_wrong_errors_must_be_fewer(tiny_base, noise_manifest) -> None:
    """A loss falls there when a model becomes less sure of itself."""
    rows = read_manifest(noise_manifest)[0][:4]
    base = evaluate(tiny_base, rows, load_audio, cap=TokenCap(6.5, 2))

    def judged(before: float, after: float) -> str | None:
        one = replace(base, wer=before, loss_words=2.0)
        return kept_adapter.reason_to_keep_base(one, replace(base, wer=after, loss_words=1.0))

    assert "83.00 % of the words are wrong, the base's 82.00 %" in (judged(0.82, 0.83) or "")
    assert judged(0.82, 0.81) is not None
    assert judged(0.82, 0.7) is None
    assert judged(0.3, 0.31) is None


def test_a_loss_that_is_no_number_is_never_the_best(trained, monkeypatch) -> None:
    mean = LossComputer.mean
    monkeypatch.setattr(
        LossComputer, "mean", lambda self, *a: mean(self, *a) if not seen(self) else float("nan")
    )

    def seen(losses: LossComputer) -> bool:
        losses.asked = getattr(losses, "asked", 0) + 1  # type: ignore[attr-defined]
        return losses.asked > 1  # type: ignore[attr-defined]

    assert main(["train", str(trained), "--overwrite"]) == 0
    assert json.loads((trained / "train.json").read_text())["best_step"] == 0


def test_out_of_memory_is_one_line_that_says_what_to_do(trained, monkeypatch, capsys) -> None:
    def full(*_: object):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(LossComputer, "mean", full)
    assert main(["train", str(trained), "--overwrite"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "--device cpu" in said


def test_a_training_that_was_stopped_goes_on_with_the_settings_it_had(
    trained, monkeypatch, capsys
) -> None:
    """By the line that is told, whatever flags it was begun with; and without its log, anew."""
    stopped = stopping_at("update", 3)
    monkeypatch.setattr(checkpoint, "SHARE", 1e9)
    for log_is_kept in (True, False):
        with monkeypatch.context() as patch:
            patch.setattr(ConsoleUi, "training", stopped)
            assert main(["train", str(trained), "--overwrite", "--max-steps", "6"]) == 130
        told = capsys.readouterr().err.strip().split("moontune run ")[1]
        if not log_is_kept:
            (trained / "train_log.jsonl").unlink()
        assert main(["run", *told.split()]) in (0, 1)
        said = capsys.readouterr().out
        assert ("going on after update 2" in said) == log_is_kept
        assert ("training begins anew" in said) != log_is_kept
        assert json.loads((trained / "train.json").read_text())["steps"] == 6


def test_updates_on_word_errors_follow_and_are_gone_on_with(trained, monkeypatch, capsys) -> None:
    asked = ["train", str(trained), "--overwrite", "--max-steps", "4", "--mwer-steps", "4"]
    monkeypatch.setattr("moontune.training.objectives.word_errors.WIDTH", 3)
    monkeypatch.setattr(loops, "reason_to_keep_base", lambda before, after: None)
    assert main(asked) == 0
    said = capsys.readouterr().out
    assert said.count("of words expected to be wrong") == 2
    assert "4 updates on word errors, " in said
    whole = load_file(trained / "lora_adapter/adapter_model.safetensors")
    made = json.loads((trained / "train.json").read_text())
    assert (made["steps"], made["word_errors"]["steps"]) == (4, 4)
    assert made["utterances_seen"] == 2 * made["word_errors"]["utterances_seen"]
    events = [json.loads(x) for x in (trained / "train_log.jsonl").read_text().splitlines()]
    assert [e["step"] for e in events if e["event"] == "word-error update"] == [5, 6, 7, 8]

    stopped = stopping_at("word-error update", 7)
    monkeypatch.setattr(checkpoint, "SHARE", 1e9)
    with monkeypatch.context() as patch:
        patch.setattr(ConsoleUi, "training", stopped)
        assert main(asked) == 130
    told = capsys.readouterr().err.strip().split("moontune run ")[1]
    assert main(["run", *told.split()]) in (0, 1)
    assert "going on after update 6" in capsys.readouterr().out
    again = load_file(trained / "lora_adapter/adapter_model.safetensors")
    assert whole.keys() == again.keys()
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    assert json.loads((trained / "train.json").read_text())["steps"] == 4
    assert "then 4 updates on word errors" in (trained / "report.md").read_text()


def test_updates_on_word_errors_of_an_adapter_that_is_discarded_are_not_kept(
    trained, monkeypatch, capsys
) -> None:
    expected = iter((0.9, 0.1))  # so that they are kept at first
    monkeypatch.setattr("moontune.training.objectives.word_errors.WIDTH", 2)
    monkeypatch.setattr(WordErrors, "validate", lambda *_: next(expected))
    monkeypatch.setattr(loops, "reason_to_keep_base", lambda before, after: "it is no better")
    asked = ["train", str(trained), "--overwrite", "--max-steps", "4", "--mwer-steps", "2"]
    assert main(asked) == 0
    made = json.loads((trained / "train.json").read_text())
    assert made["word_errors"]["steps"] == 2
    assert made["word_errors"]["best_step"] == 0
    assert "2 updates on word errors, not kept" in capsys.readouterr().out


def test_the_usual_updates_are_kept_where_only_those_on_word_errors_spoil_it(
    trained, monkeypatch, capsys
) -> None:
    """Also where the training was stopped in between."""
    asked = ["train", str(trained), "--overwrite", "--max-steps", "4", "--mwer-steps", "4"]
    monkeypatch.setattr("moontune.training.objectives.word_errors.WIDTH", 3)
    monkeypatch.setattr(loops, "reason_to_keep_base", lambda before, after: None)
    assert main(asked[:-2]) == 0
    usual = load_file(trained / "lora_adapter/adapter_model.safetensors")
    stopped = stopping_at("word-error update", 7)
    monkeypatch.setattr(checkpoint, "SHARE", 1e9)
    monkeypatch.setattr(WordErrors, "validate", lambda *_: next(expected))
    for stops in (False, True):
        expected = iter([1 - 0.1 * n for n in range(9)])  # so that they are kept at first
        reasons = iter(("it writes no speech", None))
        with monkeypatch.context() as patch:
            patch.setattr(loops, "reason_to_keep_base", lambda *_: next(reasons))  # noqa: B023
            if stops:
                with monkeypatch.context() as until:
                    until.setattr(ConsoleUi, "training", stopped)
                    assert main(asked) == 130
                told = capsys.readouterr().err.strip().split("moontune run ")[1]
                assert main(["run", *told.split()]) in (0, 1)
            else:
                assert main(asked) == 0
        said = capsys.readouterr().out
        assert "the updates on word errors are not kept: it writes no speech" in said
        made = json.loads((trained / "train.json").read_text())
        assert made["best_step"] > 0
        assert made["collapsed"] is None
        assert (made["word_errors"]["steps"], made["word_errors"]["best_step"]) == (4, 0)
        found = load_file(trained / "lora_adapter/adapter_model.safetensors")
        assert all(torch.equal(usual[name], found[name]) for name in usual)


def test_where_no_usual_update_is_kept_none_on_word_errors_follow(
    trained, monkeypatch, capsys
) -> None:
    losses = iter(range(100))
    monkeypatch.setattr(LossComputer, "mean", lambda *_: float(next(losses)))
    asked = ["train", str(trained), "--overwrite", "--max-steps", "2", "--mwer-steps", "2"]
    assert main(asked) == 0
    assert "no updates on word errors follow" in capsys.readouterr().out
    assert json.loads((trained / "train.json").read_text())["word_errors"] is None


def test_updates_on_word_errors_that_the_folds_did_not_keep_are_not_made(trained, capsys) -> None:
    run = RunDir(trained)
    config = run.config()
    config = replace(config, train=replace(config.train, max_steps=2, mwer_steps=2))
    for worth_it in (False, True):
        known = UnvalidatedTraining(0.5, 1.0, worth_it)
        train_stage(run, config, ConsoleUi(), options=TrainOptions(unvalidated=known))
        assert ("most folds kept none" in capsys.readouterr().out) != worth_it
        assert (run.read("train.json")["word_errors"] is not None) == worth_it


@pytest.mark.parametrize("given", [[], ["--lr", "1e-3"]])
def test_the_base_hears_the_validation_clips_once(trained, monkeypatch, given) -> None:
    """What the rate is picked by also says later whether the adapter is better in words."""
    heard: list[tuple[str, ...]] = []

    def noted(base: Any, clips: Any, *args: Any, **kwargs: Any) -> Any:
        heard.append(tuple(u.id for u in clips))
        return evaluate(base, clips, *args, **kwargs)

    monkeypatch.setattr("moontune.evaluation.evaluate.evaluate", noted)
    assert main(["train", str(trained), "--overwrite", *given]) == 0
    made = json.loads((trained / "train.json").read_text())
    val = tuple(u.id for u in read_manifest(trained / "manifests/val.jsonl")[0])
    assert heard == [val] * (2 if made["best_step"] or made["collapsed"] else 1)
