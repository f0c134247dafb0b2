"""Training that went wrong with finite numbers is told from training that is merely lively."""

from __future__ import annotations

import math
import random

import pytest

from moontune.training.stability import unsteady


def log(norms, losses=(2.0, 1.8, 1.7)) -> list[dict]:
    """As `train` writes it: the base validated first."""
    updates = [
        {"event": "update", "step": i, "loss": 2.0, "grad_norm": norm}
        for i, norm in enumerate(norms, 1)
    ]
    every = max(len(updates) // max(len(losses) - 1, 1), 1)
    checks = [
        {"event": "validation", "step": i * every, "val_loss": v} for i, v in enumerate(losses)
    ]
    return [checks[0], *updates, *checks[1:]]


LIVELY = [random.Random(i).lognormvariate(0.7, 0.5) for i in range(60)]


def test_lively_training_is_steady() -> None:
    assert unsteady(log(LIVELY)) == []
    assert unsteady(log([60.0, *LIVELY])) == []  # the first updates are often large
    assert unsteady(log([1e-4] * 30 + [5.0])) == []  # learnt by heart, then a hard clip
    assert unsteady(log([*LIVELY, None])) == []  # skipped, and counted as such
    assert unsteady(log(LIVELY, (2.0, 2.6, 1.7))) == []
    assert unsteady(log(LIVELY, (0.1, 0.5, 0.9))) == []  # overfitting is told by what is kept
    assert unsteady([]) == []


@pytest.mark.parametrize(
    "norms",
    [
        [*LIVELY, 1e6],
        [1e6, *LIVELY],
        [3e4] * 20,
        [*LIVELY, *[3e4] * 100],  # even if most of the updates are
        [1.5**i for i in range(40)],
    ],
)
def test_exploding_gradients_are_told(norms) -> None:
    [told] = unsteady(log(norms))
    assert f"norm {max(norms):.3g} at update {norms.index(max(norms)) + 1}" in told


def test_a_loss_far_above_the_bases_is_told() -> None:
    [told] = unsteady(log(LIVELY, (2.0, 1.9, 5.25, 4.0)))
    assert told == "the validation loss rose from 2.00 to 5.25 (update 40)"


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_a_validation_without_a_number_is_told(value) -> None:
    told = unsteady(log(LIVELY, (2.0, value, 1.7)))
    assert told == ["the validation loss was not finite at update 30"]
