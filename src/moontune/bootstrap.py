"""Intervals of corpus figures by resampling speakers, paired over two models. No torch here.

A corpus figure is a ratio of sums over clips: errors over words, nats over target tokens. Speakers
are drawn with replacement, each with all its clips, the same ones for both models. With few
speakers the plain percentile interval is far too short (3 speakers: it covers the truth 71-80 % of
the time, not 95 %; `benchmarks/interval_coverage.py`), so the draws are spread about the estimate
by sqrt(k / (k - 1)) * t(k - 1) / z: the expanded percentile interval of Hesterberg, "What teachers
should know about the bootstrap", 2015, section 4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
_LARGEST = 50_000_000  # counts held at once; thousands of units are resampled less often
CONFIDENCE = 0.95
POWER = 0.8  # of a test set said to be large enough


@dataclass(frozen=True)
class Estimate:
    value: float
    interval: tuple[float, float]
    below_zero: float  # share of the draws below zero, half of those at zero
    standard_error: float


@dataclass(frozen=True)
class Draws:
    """How often each clip counts in each resample, as seen through sums over `groups`."""

    group: np.ndarray  # (clips,) index of the clip's group
    counts: np.ndarray  # (resamples, groups)
    spread: float  # of the draws about the estimate
    inflation: float  # of the standard error, for a few groups

    @property
    def units(self) -> int:
        """How many things are resampled."""
        return self.counts.shape[1]

    def ratio(self, numerator: Sequence[float], denominator: Sequence[float]) -> Estimate | None:
        """Sum over sum with its interval; None where the denominator is nothing."""
        above = np.bincount(self.group, np.asarray(numerator, float), self.units)
        below = np.bincount(self.group, np.asarray(denominator, float), self.units)
        if below.sum() <= 0:
            return None
        value = float(above.sum() / below.sum())
        sums = self.counts @ below
        drawn = (self.counts @ above)[sums > 0] / sums[sums > 0]
        spread = value + self.spread * (drawn - value)
        tail = (1 - CONFIDENCE) / 2
        low, high = np.quantile(spread, [tail, 1 - tail])
        under = float(np.mean(spread < 0) + 0.5 * np.mean(spread == 0))
        error = float(drawn.std() * self.inflation)
        return Estimate(value, (float(low), float(high)), under, error)


def by_group(groups: Sequence[str], seed: int) -> Draws:
    """Resample whole groups: what the figures would be with other speakers of the same kind.

    Two groups or more are needed.
    """
    from scipy.special import ndtri, stdtrit

    names = sorted(set(groups))
    k = len(names)
    index = {name: i for i, name in enumerate(names)}
    rng = np.random.default_rng(seed)
    size = min(RESAMPLES, _LARGEST // k)
    counts = rng.multinomial(k, np.full(k, 1 / k), size=size).astype(np.float32)
    inflation = math.sqrt(k / (k - 1))
    top = (1 + CONFIDENCE) / 2
    t = float(stdtrit(k - 1, top) / ndtri(top))
    return Draws(np.array([index[g] for g in groups]), counts, inflation * t, inflation)


def within_groups(groups: Sequence[str], seed: int) -> Draws:
    """Resample clips of each group by itself: other clips of these same speakers."""
    rng = np.random.default_rng(seed)
    size = min(RESAMPLES, _LARGEST // len(groups))
    counts = np.zeros((size, len(groups)), np.float32)
    labels = np.asarray(groups)
    for name in sorted(set(groups)):
        at = np.flatnonzero(labels == name)
        counts[:, at] = rng.multinomial(len(at), np.full(len(at), 1 / len(at)), size=size)
    return Draws(np.arange(len(groups)), counts, 1.0, 1.0)


def wider(one: Estimate | None, other: Estimate | None) -> Estimate | None:
    """The less sure of two estimates of one figure: speakers that happen to agree do not make the
    clips they were measured on certain."""
    if one is None or other is None:
        return None
    ends = (*one.interval, *other.interval)
    shares = (one.below_zero, other.below_zero)
    return Estimate(
        one.value,
        (min(ends), max(ends)),
        min(shares, key=lambda share: abs(share - 0.5)),
        max(one.standard_error, other.standard_error),
    )


def clips_needed(clips: int, groups: int, standard_error: float, effect: float) -> int | None:
    """Clips, of proportionally more speakers, that show `effect` four times in five.

    The standard error falls with the square root of their number, and Student's t with the number
    of groups. Rounded to two digits; None if it would take more than a million times as many.
    """
    from scipy.special import ndtri, stdtrit

    if not effect or not standard_error:
        return None
    factor = 1.0
    while factor < 1e6:
        t = stdtrit(groups * factor - 1, (1 + CONFIDENCE) / 2)
        if (t + ndtri(POWER)) * standard_error / math.sqrt(factor) <= abs(effect):
            needed = math.ceil(clips * factor)
            return round(needed, 2 - len(str(needed)))
        factor *= 1.02
    return None
