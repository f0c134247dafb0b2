"""What a run picks for its data where no flag says otherwise, and why. No torch here.

The rules stand in docs/recipe.md beside what they were made from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from moontune.config import RunConfig
from moontune.markdown import percent

BASE_CLIPS = 64  # of the validation split, at most, that show the base's errors
_EPOCHS = 4.0
_UPDATES = (100, 500)
_RATE = 2e-4
_FEW_ERRORS = 0.08


@dataclass(frozen=True)
class Data:
    """What the rules look at."""

    clips: int  # to train on
    minutes: float
    wer: float | None  # of the base, on the validation split


@dataclass(frozen=True)
class Pick:
    name: str
    value: Any
    why: str


def open_settings(config: RunConfig) -> list[str]:
    """Settings that are left to be picked."""
    given = {
        "max_steps": config.train.max_steps,
        "lr": config.train.lr,
        "augment": config.train.augment,
    }
    return [name for name, value in given.items() if value is None]


def pick(config: RunConfig, data: Data) -> tuple[RunConfig, list[Pick]]:
    """The configuration with everything picked that was left open."""
    rules = {"max_steps": _updates, "lr": _rate, "augment": _augment}
    picks = [rules[name](config, data) for name in open_settings(config)]
    for p in picks:
        config = replace(config, train=replace(config.train, **{p.name: p.value}))
    return config, picks


def _updates(config: RunConfig, data: Data) -> Pick:
    size = config.train.batch_size * config.train.grad_accum
    low, high = _UPDATES
    wanted = round(_EPOCHS * data.clips / size)
    updates = min(max(wanted, low), high)
    times = f"{updates * size / data.clips:.1f} times over {data.clips} clips"
    bound = f", and never fewer than {low}" if wanted < low else ""
    bound = f", and never more than {high}" if wanted > high else bound
    return Pick("max_steps", updates, f"{times}{bound}")


def _rate(config: RunConfig, data: Data) -> Pick:
    if data.wer is None:
        return Pick("lr", _RATE, "the base's WER is not known")
    told = f"the base has {percent(data.wer)} WER on validation clips"
    if data.wer < _FEW_ERRORS:
        return Pick("lr", _RATE / 2, f"{told}, under {percent(_FEW_ERRORS)}: little to gain")
    return Pick("lr", _RATE, told)


def _augment(config: RunConfig, data: Data) -> Pick:
    return Pick("augment", (), f"{data.minutes:.1f} minutes: changed audio brought nothing")
