"""What a run picks for its data where no flag says otherwise, and why. No torch here.

The rules stand in docs/recipe.md beside what they were made from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from moontune.config import RunConfig
from moontune.markdown import percent

BASE_CLIPS = 64  # of the validation split, at most, that show the base's errors


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
    return Pick("max_steps", 250, f"{data.clips} clips")


def _rate(config: RunConfig, data: Data) -> Pick:
    return Pick("lr", 2e-4, percent(data.wer))


def _augment(config: RunConfig, data: Data) -> Pick:
    return Pick("augment", (), "")
