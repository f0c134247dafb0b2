"""The search of a sweep, by optuna: the next settings to try, and when to give a trial up.

Built anew for each trial from those that are done, so that it can go on after whatever stopped it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

from moontune.pipeline.experiments.search_space import Dimension
from moontune.pipeline.experiments.trial import Trial

if TYPE_CHECKING:
    import optuna

_RANDOM = 4  # trials before the search learns from those there are
_NOT_BEFORE = 2  # tenths of a trial, that a trial is given up; in the first the rate only rises


class Search:
    """The search as it stands after the trials that are done; what it draws depends on `seed`."""

    def __init__(
        self,
        space: list[Dimension],
        done: list[Trial],
        seed: int,
        running: Sequence[dict[str, Any]] = (),
    ) -> None:
        """`running`: values of trials that other processes do now."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space, self._seed = space, seed
        self._tried = [*(trial.values for trial in done), *running]
        self._distributions = {d.name: d.distribution() for d in space}
        self._study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=_RANDOM),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=2, n_warmup_steps=_NOT_BEFORE),
        )
        for trial in done:
            if trial.values.keys() == self._distributions.keys():
                self._add(trial)  # any other has the run's own settings, which no trial could have

    def _add(self, trial: Trial) -> None:
        import optuna

        finished = trial.state == "finished"
        self._study.add_trial(
            optuna.trial.create_trial(
                state=optuna.trial.TrialState["COMPLETE" if finished else "PRUNED"],
                value=trial.best_val_loss,
                params=trial.values,
                distributions=self._distributions,
                intermediate_values=_by_tenth(trial.validations, trial.updates),
            )
        )

    def next_trial(self) -> optuna.trial.Trial | None:
        """Settings that were not tried yet; None if there are none."""
        import optuna

        trial = self._study.ask(self._distributions)
        if trial.params not in self._tried:
            return trial
        # Of few values the sampler likes the best ones again and again.
        self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
        untried = self._untried()
        if untried is None:
            return None
        self._study.enqueue_trial(untried)
        return self._study.ask(self._distributions)

    def trial_of(self, values: dict[str, Any]) -> optuna.trial.Trial:
        """The trial of values that were drawn before."""
        self._study.enqueue_trial(values)
        return self._study.ask(self._distributions)

    def _untried(self) -> dict[str, Any] | None:
        """Some values that were not tried, drawn from the seed; None if there are none."""
        rng = random.Random(self._seed)
        values = [d.values for d in self._space]
        orders = [rng.sample(v, len(v)) for v in values if v is not None]
        if len(orders) < len(self._space):
            return None  # a range without steps drew the same value twice: there is no other
        names = [d.name for d in self._space]
        named = (dict(zip(names, v, strict=True)) for v in product(*orders))
        return next((v for v in named if v not in self._tried), None)


class Pruner:
    """Gives up on a trial that does badly beside those that were as far along."""

    def __init__(self, trial: optuna.trial.Trial) -> None:
        self._trial = trial
        self._reported: set[int] = set()  # tenths

    def __call__(self, validations: dict[int, float], updates: int) -> bool:
        """Asked after each validation, with all so far; each is reported once."""
        tenths = _by_tenth(validations, updates)
        new = tenths.keys() - self._reported
        if not new:
            return False
        for tenth in sorted(new):
            self._trial.report(tenths[tenth], tenth)
        self._reported |= new
        return bool(self._trial.should_prune())


def _tenth(step: int, updates: int) -> int:
    """Progress of a training, 1 to 10. Trials of unlike length are held against each other as far
    along: at one update a short one has its rate almost down, and a long one is still warming up.
    """
    return -(-10 * step // updates)


def _by_tenth(values: dict[int, float], updates: int) -> dict[int, float]:
    """Validations by tenth of the training, the first in each."""
    firsts: dict[int, float] = {}
    for step in sorted(values):
        firsts.setdefault(_tenth(step, updates), values[step])
    return firsts
