"""`moontune sweep`: trainings with other settings, the best by validation tested at the end.

Every trial is a run of its own in the sweep's folder, and those runs are all that is remembered:
the search is built again from them, so that it can be gone on with after whatever stopped it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from moontune.config.schema import RunConfig
from moontune.errors import UserError
from moontune.pipeline.experiments.crossval.folds import POLL_S
from moontune.pipeline.experiments.search import Pruner, Search
from moontune.pipeline.experiments.search_space import Dimension, configured, dimensions
from moontune.pipeline.experiments.trial import (
    State,
    Trial,
    best_of,
    described,
    recorded_trial,
    trial_folder,
)
from moontune.pipeline.new_run import RunKind
from moontune.pipeline.run_folder.creating import fork_run
from moontune.pipeline.run_folder.lock import claimed, exclusive_file
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.pipeline.runner import run_stage
from moontune.pipeline.stages import STAGE_NAMES, stage_named
from moontune.pipeline.stages.train import TrainOptions
from moontune.pipeline.training.loops import GivenUp
from moontune.system.files import write_json
from moontune.system.formatting import counted
from moontune.system.progress import Pace, Ui
from moontune.training.summary import TrainingSummary

if TYPE_CHECKING:
    import optuna

DRAWN = "drawn.json"  # values by trial, and the trials that were done when they were drawn
BEFORE = ("sample", "clean", "split", "labels", "baseline")
_AFTER = STAGE_NAMES[STAGE_NAMES.index("train") + 1 :]
_NOT_FINITE = 1e9  # stands for such a loss, which JSON and optuna have no place for


@dataclass(frozen=True)
class Sweep(RunKind):
    """A sweep of so many trials over the settings of `tune`; None: as the one gone on with has."""

    trials: int | None
    tune: tuple[str, ...] | None
    name = "sweep"

    def check(self, config: RunConfig) -> None:
        assert self.trials is not None
        assert self.tune is not None
        _check_trials(self.trials)
        dimensions(self.tune, config)

    def facts(self) -> dict[str, Any]:
        return {"sweep": {"trials": self.trials, "tune": list(self.tune or ())}}

    def resume(self, run: RunDir) -> None:
        """It may have more trials. Raises UserError for another search."""
        asked = run.record()["sweep"]
        try:
            dimensions(tuple(asked["tune"]), run.config())
        except UserError as error:
            raise UserError(
                f"{run.path}: its search {' '.join(asked['tune'])} is of an older moontune "
                f"({str(error).partition(';')[0]}); start another sweep"
            ) from None
        if self.tune is not None and list(self.tune) != asked["tune"]:
            raise UserError(
                f"--tune {' '.join(self.tune)} differs from the sweep's "
                f"{' '.join(asked['tune'])}; a resumed sweep keeps its search: leave it out, or "
                "start another"
            )
        if self.trials is None:
            return
        _check_trials(self.trials)
        folders = (trial_folder(run, number) for number in range(asked["trials"]))
        done = sum(1 for folder in folders if recorded_trial(folder))
        if self.trials < done:
            raise UserError(
                f"--trials {self.trials}: {done} were done, and which of them count is not to be "
                f"chosen afterwards; give {done} or more"
            )
        run.note(sweep=asked | {"trials": self.trials}, complete=False)


def _check_trials(trials: int) -> None:
    if not 2 <= trials <= 1000:
        raise UserError(f"--trials {trials}: give 2 to 1000; the first has the run's own settings")


class _TrialUi:
    """The command line's display of a trial, and the trial's validations."""

    def __init__(self, ui: Ui, pruner: Pruner | None) -> None:
        self._ui, self._pruner = ui, pruner
        self.values: dict[int, float] = {}  # by update
        self.updates = 0  # that the training is of

    def stage(self, name: str, summary: str, index: int, count: int) -> None:
        self._ui.stage(name, summary, index, count)

    def progress(self, done: int, wanted: int, what: str) -> None:
        self._ui.progress(done, wanted, what)

    def note(self, text: str) -> None:
        self._ui.note(text)

    def warn(self, text: str) -> None:
        self._ui.warn(text)

    def alarm(self, text: str) -> None:
        self._ui.alarm(text)

    def training(self, event: dict[str, Any], max_steps: int) -> None:
        self._ui.training(event, max_steps)
        if event["event"] == "validation" and event["step"]:
            value = _NOT_FINITE if event["val_loss"] is None else event["val_loss"]
            self.values[event["step"]], self.updates = value, max_steps

    def prune(self, step: int, loss: float) -> bool:
        """Asked after each validation whether to give up; the first trial never is."""
        return self._pruner is not None and self._pruner(self.values, self.updates)


@dataclass(frozen=True)
class _Asked:
    """A trial to be done: values by setting; none in trial 0, which has the run's own."""

    number: int
    values: dict[str, Any]
    space: list[Dimension]


def do_trials(run: RunDir, config: RunConfig, ui: Ui) -> list[Trial]:
    """Do the trials that are left; returns all of them, when they are done.

    Each is claimed by one process of those that work on the run; one whose process ended is taken
    over. The first is done before any other begins.
    """
    asked = run.record()["sweep"]
    work = _Work(run, config, dimensions(tuple(asked["tune"]), config), asked["trials"], ui)
    waits = False
    while len(work.done()) < work.count:
        outcome = work.next_one()
        if outcome == "exhausted":
            break
        if outcome == "done":
            waits = False
            continue
        if not waits:
            ui.note("waiting for trials that other processes do")
        waits = True
        time.sleep(POLL_S)
    return work.done()


@dataclass
class _Work:
    """The trials of a sweep, as one of the processes that do them sees them."""

    run: RunDir
    config: RunConfig
    space: list[Dimension]
    count: int
    ui: Ui
    pace: Pace = field(default_factory=Pace)
    reversed_transcripts: dict[str, str | None] = field(default_factory=dict)  # of the base

    def done(self, before: int | None = None) -> list[Trial]:
        numbers = range(self.count if before is None else before)
        found = (recorded_trial(trial_folder(self.run, number)) for number in numbers)
        return [trial for trial in found if trial is not None]

    def next_one(self) -> Literal["done", "taken", "exhausted"]:
        """Do the first trial that is not done and that nobody does."""
        for number in range(self.count):
            folder = trial_folder(self.run, number)
            if recorded_trial(folder) is not None:
                continue
            with claimed(folder) as mine:
                if mine and recorded_trial(folder) is None:
                    return self._do(number)
            if number == 0:
                return "taken"  # how many clips a trial validates on is as many as the first did
        return "taken"

    def _do(self, number: int) -> Literal["done", "taken", "exhausted"]:
        done = self.done(number)
        values, pruner = {}, None
        if number:
            drawn = self._drawn(number, done)
            if drawn is None:
                if len(done) < number:  # other processes do what there is to try
                    return "taken"
                self.ui.note("everything there is to try was tried")
                return "exhausted"
            values, pruner = drawn.params, Pruner(drawn)
        what = described(values) if number else "the run's own settings"
        if rest := self.pace.left(self.count - number):
            self.ui.note(f"trial {number + 1} of {self.count}, {rest}")
        self.ui.stage(f"trial {number}", what, number + 1, self.count)
        ui = _TrialUi(self.ui, pruner)
        options = TrainOptions(_val_clips(self.run, number), self.reversed_transcripts, ui.prune)
        with self.pace.part(whole=not trial_folder(self.run, number).exists()):
            asked = _Asked(number, values, self.space)
            trial = _run_trial(self.run, self.config, asked, ui, options)
        self.ui.note(_outcome(trial, done))
        return "done"

    def _drawn(self, number: int, done: list[Trial]) -> optuna.trial.Trial | None:
        """What a trial tries: drawn once, by one process at a time, and kept, so that whoever takes
        over goes on with it. None where there is nothing else to try."""
        file = self.run / DRAWN
        with exclusive_file(file):
            kept = self.run.read(DRAWN) if file.is_file() else {}
            known = {trial.number for trial in done}
            running = [
                row["values"]
                for key, row in kept.items()
                if int(key) < number and int(key) not in known
            ]
            search = Search(self.space, done, self.config.output.seed + number, running)
            names = {dimension.name for dimension in self.space}
            if (row := kept.get(str(number))) is not None and row["values"].keys() == names:
                return search.trial_of(row["values"])
            drawn = search.next_trial()
            if drawn is not None:
                kept[str(number)] = {"values": drawn.params, "after": sorted(known)}
                write_json(file, kept)
            return drawn


def _own(space: list[Dimension], config: RunConfig) -> dict[str, Any]:
    """The run's own settings, as far as a trial could have them."""
    own = {d.name: d.of(config) for d in space}
    return {name: value for name, value in own.items() if value is not None}


def _run_trial(
    run: RunDir, config: RunConfig, asked: _Asked, ui: _TrialUi, options: TrainOptions
) -> Trial:
    """Train a trial, or go on with it; `trial.json` is written last."""
    folder = trial_folder(run, asked.number)
    own = configured(config, asked.values) if asked.number else config
    fork = _begun(folder, own)
    if fork is None:
        fork = fork_run(run, folder, own, list(BEFORE))
    state: State = "finished"
    try:
        run_stage(fork, fork.config(), stage_named("train"), ui, options=options)
        training = TrainingSummary.from_json(fork.read("train.json"))
        if asked.number and training.aborted:
            state = "aborted"
        best, step = training.figures.best_val_loss, training.figures.best_step
        assert best is not None  # a trial validates
    except GivenUp:
        state = "pruned"
        step = min(ui.values, key=lambda s: ui.values[s])
        best = ui.values[step]
    values = asked.values if asked.number else _own(asked.space, fork.used_config())
    trial = Trial(asked.number, values, state, best, int(step), ui.updates, ui.values)
    write_json(fork / "trial.json", trial.to_json())
    fork.checkpoint.unlink(missing_ok=True)  # of one that was given up
    return trial


def _begun(folder: Path, config: RunConfig) -> RunDir | None:
    """A trial with these settings whose training was cut short, to be gone on with."""
    fork = RunDir(folder)
    if not fork.checkpoint.is_file():
        return None
    made = fork.config()
    same = replace(made, output=config.output, report=config.report, terms=config.terms)
    return fork if same == config else None


def _val_clips(run: RunDir, number: int) -> int | None:
    """The number of clips a trial validates on: as many as the first did. How many a training takes
    depends on its length, and losses of other clips say nothing of settings."""
    return RunDir(trial_folder(run, 0)).read("train.json")["val_utterances"] if number else None


def _outcome(trial: Trial, before: list[Trial]) -> str:
    loss = f"validation loss {trial.best_val_loss:.4f}"
    if trial.state == "aborted":
        return "training was aborted: its numbers were not finite"
    if trial.state == "pruned":
        return f"given up after {counted(max(trial.validations), 'update')}, {loss}"
    if before and trial.best_val_loss < best_of(before).best_val_loss:
        return f"{loss}: the best so far"
    return loss


def measure_winner(run: RunDir, trials: list[Trial], ui: Ui) -> None:
    """Test the run's own settings and the winner; only now are test clips transcribed by them."""
    numbers = sorted({0, best_of(trials).number})
    for number in numbers:
        trial = RunDir(trial_folder(run, number))
        config = trial.config()
        # Their reports stand in the sweep's folder; the collected one has the sweep's.
        own = replace(run.config().report, report_file=run / "trials.md")
        done = trial.stages()
        for name in _AFTER:
            if name not in done:
                stage = stage_named(name)
                ui.stage(
                    f"trial {number}: {name}", stage.summary, 1 + _AFTER.index(name), len(_AFTER)
                )
                run_stage(trial, replace(config, report=own), stage, ui)
