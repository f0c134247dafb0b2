"""`moontune sweep`: trainings with other settings, the best by validation tested at the end.

Every trial is a run of its own in the sweep's folder, and those runs are all that is remembered:
the search is built again from them, so that it can be gone on with after whatever stopped it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moontune.config.loading import retired
from moontune.config.schema import RunConfig
from moontune.errors import UserError
from moontune.pipeline.experiments.search_space import Dimension, configured, dimensions
from moontune.pipeline.new_run import RunKind
from moontune.pipeline.run_dir import RunDir, fork_run
from moontune.pipeline.runner import run_stage
from moontune.pipeline.stages import STAGE_NAMES, stage_named
from moontune.pipeline.stages.train import GivenUp, TrialOptions
from moontune.system.files import write_json
from moontune.system.progress import Ui
from moontune.training.summary import TrainingSummary

if TYPE_CHECKING:
    import optuna

BEFORE = ("sample", "clean", "split", "labels", "baseline")
_AFTER = STAGE_NAMES[STAGE_NAMES.index("train") + 1 :]
_RANDOM = 4  # trials before the search learns from those there are
_NOT_BEFORE = 2  # tenths of a trial, that a trial is given up; in the first the rate only rises
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
        done = sum(1 for number in range(asked["trials"]) if _recorded(_folder(run, number)))
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

    def __init__(self, ui: Ui) -> None:
        self._ui = ui
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

    def training(self, event: dict[str, Any], max_steps: int) -> None:
        self._ui.training(event, max_steps)
        if event["event"] == "validation" and event["step"]:
            value = _NOT_FINITE if event["val_loss"] is None else event["val_loss"]
            self.values[event["step"]], self.updates = value, max_steps


class _Pruner:
    """Gives up on a trial that does badly beside those that were as far along."""

    def __init__(self, trial: optuna.trial.Trial | None, ui: _TrialUi) -> None:
        self._trial, self._ui = trial, ui
        self._reported: set[int] = set()  # tenths

    def __call__(self, step: int, loss: float) -> bool:
        """Asked after each validation; what it was told is not told again."""
        tenths = _by_tenth(self._ui.values, self._ui.updates)
        new = tenths.keys() - self._reported
        if self._trial is None or not new:
            return False
        for tenth in sorted(new):
            self._trial.report(tenths[tenth], tenth)
        self._reported |= new
        return bool(self._trial.should_prune())


def _tenth(step: int, updates: int) -> int:
    """How far a training is, 1 to 10. Trials of unlike length are held against each other as far
    along: at one update a short one has its rate almost down, and a long one is still warming up.
    """
    return -(-10 * step // updates)


def _by_tenth(values: dict[int, float], updates: int) -> dict[int, float]:
    """Validations by tenth of the training, the first in each."""
    firsts: dict[int, float] = {}
    for step in sorted(values):
        firsts.setdefault(_tenth(step, updates), values[step])
    return firsts


@dataclass(frozen=True)
class _Trial:
    """What is tried: values by setting; none in trial 0, which has the run's own settings."""

    number: int
    values: dict[str, Any]
    space: list[Dimension]


def do_trials(run: RunDir, config: RunConfig, ui: Ui) -> list[dict[str, Any]]:
    """Do the trials that are left; returns all of them as recorded."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    asked = run.record()["sweep"]
    space = dimensions(tuple(asked["tune"]), config)
    done: list[dict[str, Any]] = []
    reversed_transcripts: dict[str, str | None] = {}  # of the base, the same in every trial
    for number in range(asked["trials"]):
        kept = _recorded(_folder(run, number))
        if kept is None:
            seed = config.output.seed + number
            study = _study(space, done, seed)
            trial = _new_trial(study, space, done, seed) if number else None
            if number and trial is None:
                ui.note("everything there is to try was tried")
                break
            values = {} if trial is None else trial.params
            what = told(values) if number else "the run's own settings"
            ui.stage(f"trial {number}", what, number + 1, asked["trials"])
            trial_ui = _TrialUi(ui)
            options = TrialOptions(
                _val_clips(run, number), reversed_transcripts, _Pruner(trial, trial_ui)
            )
            kept = _run_trial(run, config, _Trial(number, values, space), trial_ui, options)
            ui.note(_outcome(kept, done))
        done.append(kept)
    return done


def _folder(run: RunDir, number: int) -> Path:
    return run / f"trial-{number}"


def _recorded(folder: Path) -> dict[str, Any] | None:
    """A trial that was done. Raises UserError where what it says is not of its adapter any more."""
    run = RunDir(folder)
    if not (run / "trial.json").is_file():
        return None
    trial = run.read("trial.json")
    for sentence in retired(trial["values"]).values():
        raise UserError(f"{folder}: {sentence.partition(';')[0]}; start another sweep")
    if trial["state"] == "finished":
        trained = run.read("train.json")["best_val_loss"] if "train" in run.stages() else None
        if trained != trial["best_val_loss"]:
            raise UserError(
                f"{folder}: was trained again since the sweep; delete {run / 'trial.json'} to have "
                "the sweep do this trial over"
            )
    return trial


def _own(space: list[Dimension], config: RunConfig) -> dict[str, Any]:
    """The run's own settings, as far as a trial could have them."""
    own = {d.name: d.of(config) for d in space}
    return {name: value for name, value in own.items() if value is not None}


def _study(space: list[Dimension], done: list[dict[str, Any]], seed: int) -> optuna.Study:
    """The search as it stands after the trials that are done."""
    import optuna

    study = optuna.create_study(
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=_RANDOM),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=2, n_warmup_steps=_NOT_BEFORE),
    )
    ways = {d.name: d.distribution() for d in space}
    states = {
        "finished": optuna.trial.TrialState.COMPLETE,
        "pruned": optuna.trial.TrialState.PRUNED,
        "aborted": optuna.trial.TrialState.PRUNED,
    }
    for trial in done:
        if trial["values"].keys() != ways.keys():
            continue  # the run's own settings, which no trial could have
        values = {int(step): value for step, value in trial["validations"].items()}
        study.add_trial(
            optuna.trial.create_trial(
                state=states[trial["state"]],
                value=trial["best_val_loss"],
                params=trial["values"],
                distributions=ways,
                intermediate_values=_by_tenth(values, trial["updates"]),
            )
        )
    return study


def _new_trial(
    study: optuna.Study, space: list[Dimension], done: list[dict[str, Any]], seed: int
) -> optuna.trial.Trial | None:
    """Settings that were not tried yet; None if there are none."""
    import optuna

    ways = {d.name: d.distribution() for d in space}
    tried = [other["values"] for other in done]
    trial = study.ask(ways)
    if trial.params not in tried:
        return trial
    # Of few values the sampler likes the best ones again and again.
    study.tell(trial, state=optuna.trial.TrialState.FAIL)
    left = _untried(space, tried, seed)
    if left is None:
        return None
    study.enqueue_trial(left)
    return study.ask(ways)


def _untried(
    space: list[Dimension], tried: list[dict[str, Any]], seed: int
) -> dict[str, Any] | None:
    """Some values that were not tried, drawn from `seed`; None if there are none."""
    rng = random.Random(seed)
    values = [d.values for d in space]
    orders = [rng.sample(v, len(v)) for v in values if v is not None]
    if len(orders) < len(space):
        return None  # a draw from a range without steps that was drawn before: there is no other
    named = (dict(zip([d.name for d in space], v, strict=True)) for v in product(*orders))
    return next((v for v in named if v not in tried), None)


def _run_trial(
    run: RunDir, config: RunConfig, trial: _Trial, ui: _TrialUi, options: TrialOptions
) -> dict[str, Any]:
    """Train a trial, or go on with it; returns what `trial.json` records."""
    folder = _folder(run, trial.number)
    own = configured(config, trial.values) if trial.number else config
    fork = _begun(folder, own)
    if fork is None:
        fork = fork_run(run, folder, own, list(BEFORE))
    state = "finished"
    try:
        run_stage(fork, fork.config(), stage_named("train"), ui, options=options)
        training = TrainingSummary.from_json(fork.read("train.json"))
        if trial.number and training.aborted:
            state = "aborted"
        best, step = training.figures.best_val_loss, training.figures.best_step
    except GivenUp:
        state = "pruned"
        step = min(ui.values, key=lambda s: ui.values[s])
        best = ui.values[step]
    record = {
        "number": trial.number,
        "values": trial.values if trial.number else _own(trial.space, fork.used_config()),
        "state": state,
        "best_val_loss": best,
        "best_step": step,
        "updates": ui.updates,
        "validations": ui.values,
    }
    write_json(fork / "trial.json", record)
    fork.checkpoint.unlink(missing_ok=True)  # of one that was given up
    return record


def _begun(folder: Path, config: RunConfig) -> RunDir | None:
    """A trial with these settings whose training was cut short, to be gone on with."""
    fork = RunDir(folder)
    if not fork.checkpoint.is_file():
        return None
    made = fork.config()
    same = replace(made, output=config.output, report=config.report)
    return fork if same == config else None


def _val_clips(run: RunDir, number: int) -> int | None:
    """How many clips a trial validates on: as many as the first did. How many a training takes
    depends on its length, and losses of other clips say nothing of settings."""
    return RunDir(_folder(run, 0)).read("train.json")["val_utterances"] if number else None


def told(values: dict[str, Any]) -> str:
    """A trial's settings in words."""
    parts = (f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in values.items())
    return ", ".join(parts)


def _outcome(trial: dict[str, Any], before: list[dict[str, Any]]) -> str:
    loss = f"validation loss {trial['best_val_loss']:.4f}"
    if trial["state"] == "aborted":
        return "training was aborted: its numbers were not finite"
    if trial["state"] == "pruned":
        return f"given up after {max(trial['validations'])} updates, {loss}"
    if before and trial["best_val_loss"] < best_of(before)["best_val_loss"]:
        return f"{loss}: the best so far"
    return loss


def best_of(trials: list[dict[str, Any]]) -> dict[str, Any]:
    """The trial with the lowest validation loss, of those that came to their end."""
    finished = [t for t in trials if t["state"] == "finished"]
    return min(finished, key=lambda t: (t["best_val_loss"], t["number"]))


def measure_winner(run: RunDir, trials: list[dict[str, Any]], ui: Ui) -> None:
    """Test the run's own settings and the winner; only now are test clips transcribed by them."""
    numbers = sorted({0, best_of(trials)["number"]})
    for number in numbers:
        trial = RunDir(_folder(run, number))
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
