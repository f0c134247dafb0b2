"""What to do after a run: commands that can be typed as they stand."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from moontune.cli.dispatch import main
from moontune.evaluation.acceptance import State
from moontune.evaluation.domain_text.weight import ChosenWeight
from moontune.evaluation.measures import Measure, Sides, TextChange, TextUse
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.pipeline.stages.next_steps import next_steps
from moontune.report.results.metrics import NextStep


@pytest.fixture
def run(finished_run, tmp_path, monkeypatch) -> RunDir:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished_run[0], tmp_path / "user")
    monkeypatch.chdir(tmp_path / "user")
    return RunDir(Path("outputs/r"))


def steps_after(
    run: RunDir, state: State, needed: int | None = None, **more: Any
) -> list[NextStep]:
    metrics = run.metrics()
    verdict = replace(metrics.verdict, state=state, **more)
    wer = replace(metrics.comparison.error_rate, utterances_needed=needed, outcome="undecided")
    measures = metrics.comparison.measures | {"wer": wer}
    return next_steps(run, run.config(), replace(metrics.comparison, measures=measures), verdict)


def test_a_better_one_is_used(run) -> None:
    use, crossval, export = steps_after(run, "better")
    assert use.command == "moontune transcribe recording.wav --model outputs/r"
    assert crossval.command == "moontune crossval --config outputs/r/config.toml --run-name r-cv"
    assert export.command == "moontune export outputs/r"


@pytest.mark.parametrize(
    ("outcome", "advised", "untold"),
    [("better", True, False), ("undecided", False, True), ("worse", False, False)],
)
def test_consensus_is_advised_where_it_was_surely_better(run, outcome, advised, untold) -> None:
    metrics = run.metrics()
    gain = replace(metrics.comparison.error_rate, before=0.25, after=0.02, outcome=outcome)
    found = replace(metrics.comparison, consensus=Sides(Measure(), gain))
    verdict = replace(metrics.verdict, state="better")
    use, *_ = next_steps(run, run.config(), found, verdict)
    assert use.command.endswith("--model outputs/r --decoding consensus") == advised
    assert ("2.00 % of the words wrong in place of 25.00 %" in use.says) == advised
    assert ("cannot tell whether --decoding consensus makes fewer errors" in use.says) == untold
    gain = replace(gain, before=0.02, after=0.01)
    for weight, told in ((0.1, advised), (0.0, False)):
        chosen = (ChosenWeight(weight, "so it is"),)
        text = TextChange(Sides(gain, gain), TextUse(Sides(chosen, chosen), 0))
        use, *_ = next_steps(run, run.config(), replace(found, domain_text=text), verdict)
        assert ("in place of 25.00 %, and 1.00 % with your text" in use.says) == told


def test_steps_can_be_typed_in_the_folder_where_the_report_is_asked_for(
    run, monkeypatch, capsys, tmp_path
) -> None:
    monkeypatch.chdir(tmp_path)
    main(["report", "user/outputs/r"])
    shown = capsys.readouterr().out
    page = re.sub("</?span>", "", (tmp_path / "user/outputs/r/report.html").read_text())
    commands = [line.strip() for line in shown.splitlines() if line.startswith("  moontune ")]
    assert any("user/outputs/r/config.toml" in command for command in commands)
    assert all(command in page for command in commands)
    words = [word for command in commands for word in shlex.split(command)]
    assert all(Path(word).is_file() for word in words if word.endswith((".toml", ".jsonl")))


@pytest.mark.parametrize(
    ("needed", "says", "command"),
    [
        (None, "Test every one of the 12 clips", "--config outputs/r/config.toml"),
        (11, "Test every one of the 12 clips", "--config outputs/r/config.toml"),
        (30, "Record about 18 clips more like these", "--manifest "),
        (5000, "; about 5,000 would show a ", "--config outputs/r/config.toml"),
    ],
)
def test_what_decides_is_said_where_chance_may_be_all(run, needed, says, command) -> None:
    record = json.loads((run / "run.json").read_text())
    record["stages"]["clean"]["utterances"] = 12
    (run / "run.json").write_text(json.dumps(record))
    first, second = steps_after(run, "undecided", needed, accepted=True)
    assert says in first.says
    assert command in first.command
    assert second.says == "Use it"
    *_, second = steps_after(run, "undecided", needed, accepted=False)
    assert second.says == "Use the base as it is"


def test_a_worse_one_is_left_and_what_may_be_wrong_is_listened_to(run) -> None:
    first, *_ = steps_after(run, "worse")
    assert first.says == "Use the base as it is"
    assert str(run.config().model.model_id) in first.command


def test_the_crossval_that_is_named_begins(run) -> None:
    """Settings of the run with its own folds; `--trials` of a sweep and so on are no matter."""
    command = shlex.split(steps_after(run, "better")[1].command)[1:]
    assert main([*command, "--folds", "3", "--max-steps", "1"]) == 0
    assert (Path("outputs/r-cv") / "crossval.json").is_file()


def test_parts_of_larger_experiments_name_no_next_step(finished_crossval) -> None:
    fold = RunDir(finished_crossval / "outputs/cv/fold-1")
    assert not next_steps(fold, fold.config(), None, None)  # type: ignore[arg-type]


def test_the_console_and_the_reports_say_it(run, capsys) -> None:
    assert main(["verdict", str(run.path)]) in (0, 1)
    assert main(["report", str(run.path)]) in (0, 1)
    steps = run.metrics().next_steps
    assert steps
    printed = capsys.readouterr().out
    page = re.sub("</?span>", "", (run / "report.html").read_text())
    for step in steps:
        assert step.command in printed
        assert step.command in page
