"""Settings recommended for a run's data where no flag says otherwise, and why.

The rules stand in docs/recipe.md, what they were made from in docs/experiments.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from moontune.config.schema import RunConfig
from moontune.languages.table import current
from moontune.system.formatting import counted, percent

BASE_CLIPS = 64  # of the validation split, at most, that show the base's errors
_EPOCHS = (4.5, 2.0)  # times over few clips, and over many
# Of them in all, at least, and where few are many; and of all there is to hear, at most.
_HEARD = (400, 800, 12_000)
_RATE = 2e-4
_FEW_ERRORS = 0.1  # of the words


@dataclass(frozen=True)
class DataSummary:
    """The data, as far as the rules look at them."""

    clips: int  # to train on
    rate: float | None  # of errors of the base, on the validation split; None: not measured
    measured_on: str = "validation clips"


@dataclass(frozen=True)
class Recommendation:
    """A setting with the value for this data."""

    name: str
    value: Any
    why: str

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Recommendation:
        """From JSON, which has no tuples."""
        value = row["value"]
        return cls(row["name"], tuple(value) if isinstance(value, list) else value, row["why"])


def unset(config: RunConfig) -> list[str]:
    """Settings that are left to be recommended."""
    given = {
        "max_steps": config.train.max_steps,
        "lr": config.train.lr,
    }
    return [name for name, value in given.items() if value is None]


def recommend(config: RunConfig, data: DataSummary) -> tuple[RunConfig, list[Recommendation]]:
    """The configuration with all that was left open recommended for the data."""
    rules = {"max_steps": _updates, "lr": _rate}
    recommendations = [rules[name](config, data) for name in unset(config)]
    return with_recommendations(config, recommendations), recommendations


def with_recommendations(config: RunConfig, recommendations: Iterable[Recommendation]) -> RunConfig:
    return replace(
        config, train=replace(config.train, **{r.name: r.value for r in recommendations})
    )


def clips_heard(config: RunConfig) -> int:
    """The most clips that a training hears, with what is not the run's own among them."""
    train = config.train
    update = train.batch_size * train.grad_accum
    usual = _HEARD[-1] if train.max_steps is None else train.max_steps * update
    return usual + train.mwer_steps * update


def _updates(config: RunConfig, data: DataSummary) -> Recommendation:
    few, many = _EPOCHS
    least, enough, most = _HEARD
    own = 1 - config.train.backwards_share - config.general.replay_share  # of the clips in training
    heard = round(max(min(few * data.clips, enough), many * data.clips))
    most = round(most * own)
    heard = min(max(heard, least), most)
    updates = max(1, round(heard / (config.train.batch_size * config.train.grad_accum * own)))
    why = f"{heard / data.clips:.3g} times over {counted(data.clips, 'clip')}"
    if heard in (least, enough, most):
        how = {least: "at least ", most: "at most "}.get(heard, "")
        why += f", {how}{heard:,} in all"
    return Recommendation("max_steps", updates, why)


def _rate(config: RunConfig, data: DataSummary) -> Recommendation:
    label = current().rate_label
    if data.rate is None:
        return Recommendation("lr", _RATE, f"the base's {label} is not known")
    told = f"the base has {percent(data.rate)} {label} on {data.measured_on}"
    if data.rate < _FEW_ERRORS:
        return Recommendation(
            "lr", _RATE / 2, f"{told}, under {percent(_FEW_ERRORS)}: change it gently"
        )
    return Recommendation("lr", _RATE, told)
