"""A sweep: what validates best wins, the test split comes last, and it can be gone on with."""

from __future__ import annotations

import json
import math
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from builders import flags
from sample_page import AFTER, BEFORE

from moontune.cli.arguments import parse
from moontune.cli.console import ConsoleUi
from moontune.cli.dispatch import main
from moontune.cli.run_args import CrossvalArgs
from moontune.config.loading import with_settings
from moontune.config.presets import PRESETS
from moontune.config.recommended import DataSummary, recommend
from moontune.config.schema import LoraConfig, RunConfig, TrainConfig
from moontune.config.validation import resolve
from moontune.errors import UserError
from moontune.evaluation.acceptance import State
from moontune.evaluation.comparison import compare
from moontune.evaluation.predictions import run_predictions
from moontune.pipeline.experiments import sweep
from moontune.pipeline.experiments import sweep_report as swept
from moontune.pipeline.experiments.search_space import SPACES, configured, dimensions
from moontune.pipeline.experiments.trial import Trial, best_of
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.pipeline.training.loops import GivenUp
from moontune.system.files import write_json
from moontune.training import checkpoint

TUNE = ["--tune", "lr=1e-3..1e-2", "lora_r=2,4"]


def trials_of(folder: Path) -> list[dict]:
    """As recorded, in order."""
    count = len(list(folder.glob("trial-*")))
    return [json.loads((folder / f"trial-{n}/trial.json").read_text()) for n in range(count)]


@pytest.fixture(scope="module")
def finished_sweep(tmp_path_factory, tiny_model, noise_manifest) -> Path:
    where = tmp_path_factory.mktemp("user")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(where)
        words = ["sweep", *flags(tiny_model, noise_manifest, "s"), "--trials", "4", *TUNE]
        assert main(words) == 0
    return where


def test_the_best_validated_is_tested_against_the_own_settings_and_nothing_else_is(
    finished_sweep,
) -> None:
    run = finished_sweep / "outputs/s"
    found, trials = json.loads((run / "sweep.json").read_text()), trials_of(run)
    assert len(trials) == 4
    ended = [t for t in trials if t["state"] == "finished"]
    best = min(ended, key=lambda t: t["best_val_loss"])
    assert found["winner"] == best["number"]
    tested = {n for n in range(4) if (run / f"trial-{n}/predictions_tuned.jsonl").exists()}
    assert tested == {0, best["number"]}
    assert RunDir(run / "trial-0").config().train == RunDir(run).config().train
    for trial in trials[1:]:
        config = RunDir(run / f"trial-{trial['number']}").config()
        assert config.train.lr == trial["values"]["lr"]
        assert str(config.lora.lora_r) == trial["values"]["lora_r"]
        assert config.lora.lora_alpha == 2 * config.lora.lora_r  # the scale stays
    assert (run / f"trial-{best['number']}/metrics.json").is_file()
    assert json.loads((run / "run.json").read_text())["complete"]
    assert "sweep" in (finished_sweep / "outputs/training_report.md").read_text()
    shown = (run / "report.md").read_text()
    assert "| 0 | 0.0002 | 32 |" in shown  # though no trial could have had rank 32
    page = (run / "report.html").read_text()
    assert "sweep, 4 trials" in page
    assert "What now" in page
    assert "moontune crossval --config" in re.sub("</?span>", "", page)
    assert "moontune crossval --config" in shown
    assert "not set" not in page  # lora_alpha is left open in one and follows from the rank
    if best["number"]:
        own, won = (
            run_predictions(run / f"trial-{n}/predictions_tuned.jsonl") for n in (0, best["number"])
        )
        again = compare(own, won, 42)
        assert found["comparison"]["measures"] == json.loads(
            json.dumps(again.to_json()["measures"])
        )


def test_its_trials_are_compared_like_runs(finished_sweep, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_sweep / "outputs", "outputs")
    tested = [str(p.parent) for p in sorted(Path("outputs/s").glob("*/predictions_tuned.jsonl"))]
    if len(tested) == 2:
        assert main(["compare", *tested]) == 0
        assert len(list(Path("outputs").glob("compare-trial-0-trial-*.html"))) == 1
    capsys.readouterr()
    for words in (["score", "outputs/s"], ["compare", "outputs/s", "outputs/s/trial-0"]):
        assert main(words) == 2
        assert "is a sweep; name one of its runs, such as" in capsys.readouterr().err


def test_one_cut_short_goes_on_to_the_same_trials(
    finished_sweep, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_sweep / "outputs", "outputs")
    run = Path("outputs/s")
    before = trials_of(run)
    (run / "trial-2/trial.json").unlink()  # killed in the middle of it
    shutil.rmtree(run / "trial-3")
    kept = (run / "trial-1/lora_adapter/adapter_model.safetensors").stat().st_mtime_ns
    training = ConsoleUi.training

    def interrupted(self, event, updates) -> None:
        if event["event"] == "update" and event["step"] == 3:
            raise KeyboardInterrupt
        training(self, event, updates)

    monkeypatch.setattr(checkpoint, "SHARE", 1e9)
    with monkeypatch.context() as patch:
        patch.setattr(ConsoleUi, "training", interrupted)
        assert main(["sweep", "--resume", "--run-name", "s"]) == 130
    assert "moontune sweep --resume --run-name s" in capsys.readouterr().err
    assert main(["sweep", "--resume", "--run-name", "s", "--report-clips", "3"]) == 0
    assert "going on after update 2" in capsys.readouterr().out
    assert trials_of(run) == before
    assert not list(run.rglob("checkpoint*"))
    assert (run / "trial-1/lora_adapter/adapter_model.safetensors").stat().st_mtime_ns == kept
    assert main(["sweep", "--resume", "--run-name", "s", "--trials", "5"]) == 0
    assert len(trials_of(run)) == 5
    capsys.readouterr()
    for words, told in (
        (["sweep", "--tune", "lr"], "keeps its search"),
        (["sweep", "--trials", "4"], "5 were done"),
        (["sweep", "--trials", "9", "--seed", "7"], "seed = 7 differs"),
        (["run"], "is a sweep"),
        (["crossval"], "is a sweep"),
    ):
        assert main([words[0], "--resume", "--run-name", "s", *words[1:]]) == 2
        assert told in capsys.readouterr().err
    assert RunDir(run).record()["sweep"]["trials"] == 5  # what was refused changed nothing
    assert main(["train", "outputs/s"]) == 2
    assert "trial-0" in capsys.readouterr().err


def validated(options, ui, step: int, value: float | None, updates: int) -> None:
    """A validation as the training loop has it: an event, then the question whether to go on."""
    ui.training({"event": "validation", "step": step, "val_loss": value}, updates)
    if step and options.prune(step, value):
        raise GivenUp


def trained(best_val_loss: float, best_step: int, val_utterances: int) -> dict:
    """A `train.json`."""
    sums = ("skipped", "utterances_seen", "seconds", "seconds_validating", "trainable_parameters")
    return dict.fromkeys(sums, 0) | {
        "steps": best_step,
        "best_step": best_step,
        "first_val_loss": 9.0,
        "best_val_loss": best_val_loss,
        "val_utterances": val_utterances,
        "stopped": "max_steps",
    }


def scripted(run, config, stage, ui, *, options) -> None:
    """A training whose validation loss falls to what its rate deserves: 1e-4 is best."""
    wanted = 1 + abs(math.log10(config.train.lr) + 4)
    for step in (0, 2, 4, 6):
        value = wanted + (6 - step) / 10 if config.train.lr < 0.01 else None
        validated(options, ui, step, value, 6)
    made = trained(wanted, 6, val_utterances=70)
    if config.train.lr == 9e-5:  # the best of all, had its numbers not run away
        made |= {"best_val_loss": 1.0, "stopped": "aborted: not finite"}
    write_json(run / "train.json", made)
    run.finish_stage("train", {})


def asked(folder: Path, trials: int) -> tuple[RunDir, RunConfig]:
    run = RunDir(folder)
    config = RunConfig(train=TrainConfig(lr=5e-3))
    run.path.mkdir()
    run.manifest("train").parent.mkdir()
    stages = {name: {"seconds": 0.0} for name in sweep.BEFORE}
    record = {"environment": {"commands": [["sweep"]]}, "stages": stages}
    write_json(
        run / "run.json", record | {"kind": "sweep", "sweep": {"trials": trials, "tune": ["lr"]}}
    )
    return run, config


def test_the_search_finds_the_better_rate_and_gives_up_on_the_worse(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sweep, "run_stage", scripted)
    run, config = asked(tmp_path / "s", 14)
    trials = sweep.do_trials(run, config, ConsoleUi())
    best = best_of(trials)
    assert abs(math.log10(best.values["lr"]) + 4) < 0.3
    pruned = [t for t in trials if t.state == "pruned"]
    assert pruned
    assert all(max(t.validations) < 6 for t in pruned)
    assert all(t.best_val_loss > best.best_val_loss for t in pruned)
    again, _ = asked(tmp_path / "again", 14)
    assert sweep.do_trials(again, config, ConsoleUi()) == trials


def test_a_long_training_is_not_given_up_for_being_long(tmp_path, monkeypatch) -> None:
    """At the same update a shorter one is always better: its rate has come down."""

    def annealed(run, config, stage, ui, *, options) -> None:
        updates = config.train.updates
        for step in range(0, updates + 1, updates // 10):
            value = 3 - step / updates - (0.1 if updates == 500 else 0) * step / updates
            validated(options, ui, step, value, updates)
        write_json(run / "train.json", trained(value, updates, val_utterances=9))
        run.finish_stage("train", {})

    monkeypatch.setattr(sweep, "run_stage", annealed)
    run, _ = asked(tmp_path / "s", 9)
    config = RunConfig(train=TrainConfig(lr=1e-4, max_steps=100))
    run.note(sweep={"trials": 9, "tune": ["max_steps=100,200,300,500", "lr=1e-4,2e-4"]})
    trials = sweep.do_trials(run, config, ConsoleUi())
    long = [t for t in trials if t.updates == 500]
    assert long
    assert all(t.state == "finished" for t in long)
    assert best_of(trials).updates == 500


def test_all_trials_validate_on_the_same_clips(tmp_path, monkeypatch) -> None:
    """A longer training would validate on more of them."""
    asked_for = []

    def listening(run, config, stage, ui, *, options) -> None:
        asked_for.append(options.val_clips)
        scripted(run, config, stage, ui, options=options)

    monkeypatch.setattr(sweep, "run_stage", listening)
    run, config = asked(tmp_path / "s", 3)
    run.note(sweep={"trials": 3, "tune": ["max_steps=100,5000"]})
    sweep.do_trials(run, config, ConsoleUi())
    assert asked_for == [None, 70, 70]


def test_what_to_do_after_a_sweep_is_a_command_that_is_understood(tmp_path) -> None:
    """With the settings of the trial that won, the rank's scale among them."""
    config = configured(RunConfig(), {})
    RunDir(tmp_path).save_config(config)
    values = {"lr": 5e-4, "lora_r": 16}
    trials = [Trial(n, values, "finished", 3.0 - n, 6, 6, {6: 3.0 - n}) for n in range(2)]
    own = {"lr": "1e-4", "lora_r": "32"}
    found = swept.SweepResult("s", trials, 1, own, {}, [], compare(BEFORE, AFTER, 1))
    states: dict[str, State] = {"trial-0": "undecided", "trial-1": "better"}
    won, kept, tested = swept.next_steps(RunDir(tmp_path), config, found, states)
    assert won.command.endswith(f"--model {tmp_path}/trial-1")
    assert kept.command.endswith(f"--model {tmp_path}/trial-0")
    words = shlex.split(tested.command)
    assert words[:2] == ["moontune", "crossval"]
    train = parse(CrossvalArgs, words[2:], prog="x").settings
    assert (train.train.lr, train.lora.lora_r) == (5e-4, 16)
    assert train.lora.lora_alpha == configured(config, {"lora_r": 16}).lora.lora_alpha
    lost: dict[str, State] = dict.fromkeys(states, "worse")
    base, _ = swept.next_steps(RunDir(tmp_path), config, found, lost)
    assert base.says == "Use the base as it is"


def test_an_earlier_winner_that_was_tested_is_told(tmp_path) -> None:
    run = RunDir(tmp_path)
    trials = [Trial(n, {"lr": 1e-4}, "finished", 3.0 - n, 6, 6, {6: 3.0 - n}) for n in range(3)]
    for n, stages in enumerate(({"evaluate": {}}, {}, {"evaluate": {}})):
        write_json(run / f"trial-{n}/run.json", {"stages": stages})
    assert swept.tested_before(run, trials, 2) == []
    found = swept.SweepResult("s", trials, 2, {"lr": "1e-4"}, {}, [], None)
    assert "too" not in found.sentence
    write_json(run / "trial-1/run.json", {"stages": {"evaluate": {}}})
    found = replace(found, tested_before=swept.tested_before(run, trials, 2))
    assert "trial 1 had been the best and was tested too" in found.sentence


def test_a_trial_done_again_with_other_settings_does_not_win(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sweep, "run_stage", scripted)
    run, config = asked(tmp_path / "s", 3)
    sweep.do_trials(run, config, ConsoleUi())
    assert len(sweep.do_trials(run, config, ConsoleUi())) == 3
    older = RunDir(run / "trial-2").read("trial.json") | {"values": {"lora_variant": "dora"}}
    write_json(run / "trial-2/trial.json", older)
    with pytest.raises(UserError, match=r"trial-2: lora_variant = 'dora' is no more.*another"):
        sweep.do_trials(run, config, ConsoleUi())
    write_json(run / "trial-1/train.json", {"best_val_loss": 0.1})
    with pytest.raises(UserError, match="trial-1: was trained again"):
        sweep.do_trials(run, config, ConsoleUi())


def test_a_small_search_ends_when_everything_was_tried(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sweep, "run_stage", scripted)
    run, config = asked(tmp_path / "s", 10)
    run.note(sweep={"trials": 10, "tune": ["lr=1e-4,5e-3"]})
    trials = sweep.do_trials(run, config, ConsoleUi())
    assert [t.values["lr"] for t in trials] == ["5e-3", "1e-4"]


@pytest.mark.parametrize("rank", ["lora_r=4,8,16,32", "lora_r=30..33"])
def test_a_small_search_tries_everything_there_is_once(tmp_path, monkeypatch, rank) -> None:
    monkeypatch.setattr(sweep, "run_stage", scripted)
    run, config = asked(tmp_path / "s", 30)
    run.note(sweep={"trials": 30, "tune": ["lr=1e-4,5e-3,1e-3", rank]})
    tried = [tuple(t.values.items()) for t in sweep.do_trials(run, config, ConsoleUi())]
    assert len(tried) == len(set(tried)) == 12


def test_a_trial_that_explodes_does_not_end_the_sweep(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sweep, "run_stage", scripted)
    run, config = asked(tmp_path / "s", 3)
    run.note(sweep={"trials": 4, "tune": ["lr=1e-2,1e-4,5e-3,1e-3"]})
    trials = sweep.do_trials(run, config, ConsoleUi())
    assert len(trials) == 4
    assert best_of(trials).values["lr"] == "1e-4"
    text = "".join((run / f"trial-{n}/trial.json").read_text() for n in range(4))
    assert "Infinity" not in text


def test_a_training_that_was_aborted_does_not_win(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sweep, "run_stage", scripted)
    run, config = asked(tmp_path / "s", 3)
    run.note(sweep={"trials": 3, "tune": ["lr=9e-5,3e-4"]})
    trials = sweep.do_trials(run, config, ConsoleUi())
    assert min(trials, key=lambda t: t.best_val_loss).state == "aborted"
    assert best_of(trials).values["lr"] == "3e-4"


def test_the_search_learns_from_the_trial_of_the_own_settings() -> None:
    plan = resolve(with_settings(RunConfig(), PRESETS["plan"], "plan"))
    picked, picks = recommend(resolve(RunConfig()), DataSummary(300, 0.2))
    assert {p.name for p in picks} >= {"max_steps", "lr"}
    for name in SPACES:
        [found] = dimensions((name,), plan)
        assert found.distribution() is not None
        assert found.of(plan) is not None, name
        if name != "warmup_steps":  # a tenth of the updates, whatever they are
            assert found.of(picked) is not None, name


def test_a_range_of_a_setting_that_counts_is_of_whole_numbers() -> None:
    found = dimensions(("max_steps=10..20", "lora_r=4..8", "lora_alpha=4..8", "lr"), RunConfig())
    assert [d.whole for d in found] == [True, True, False, False]


def test_values_reach_the_configuration() -> None:
    config = configured(RunConfig(), {"lora_r": 32, "lora_targets": "q_proj+fc1"})
    assert config.lora == LoraConfig(lora_r=32, lora_alpha=64, lora_targets=("q_proj", "fc1"))
    assert configured(RunConfig(), {"augment": "none"}) == configured(RunConfig(), {})  # older
    rslora = RunConfig(lora=LoraConfig(lora_variant="rslora", lora_r=4, lora_alpha=8))
    assert configured(rslora, {"lora_r": 16}).lora.lora_alpha == 16  # alpha / sqrt(r) stays


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("lrr",), "did you mean lr"),
        (("lr", "lr=1e-4,1e-3"), "twice"),
        (("lr=1e-3..1e-4",), "lower end first"),
        (("lr=a..b",), "no range"),
        (("lr=1",), "two values"),
        (("lr=1e-4,7",), "outside"),
        (("lora_part=both,middle",), "expected one of"),
        (("model_id",), "no setting of the adapter"),
        (("token_dropout=0,0.1",), "give it as a flag"),
        (("mwer_steps=0,100",), "give it as a flag"),
        (("lora_r=8.5,9",), "lora_r = '8.5'"),
        (("batch_size",), "give its values"),
        ((), "names no setting"),
    ],
)
def test_a_search_that_cannot_be_is_refused(words, told) -> None:
    with pytest.raises(UserError, match=told):
        dimensions(words, RunConfig())
