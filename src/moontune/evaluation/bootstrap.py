"""Intervals of corpus figures by resampling speakers, paired over two models.

A corpus figure is a ratio of sums over clips: errors over words, nats over target tokens. Speakers
are drawn with replacement, each with all its clips, the same ones for both models. With few
speakers the plain percentile interval is far too short (3 speakers: it covers the truth 79-81 % of
the time, not 95 %; `benchmarks/statistics/`), so the draws are spread about the estimate by
sqrt(k / (k - 1)) * t(k - 1) / z: the expanded percentile interval of Hesterberg, "What teachers
should know about the bootstrap", 2015, section 4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000
_LARGEST = 25_000_000  # counts held at once; thousands of units are resampled less often
CONFIDENCE = 0.95
POWER = 0.8  # of a test set said to be large enough


@dataclass(frozen=True)
class Estimate:
    value: float
    interval: tuple[float, float] | None  # None: one unit says nothing of others
    below_zero: float  # probability, by Student's t
    standard_error: float
    units: int


@dataclass(frozen=True)
class Draws:
    """Counts of each clip in each resample, as seen through sums over `groups`."""

    group: np.ndarray  # (clips,) index of the clip's group
    counts: np.ndarray  # (resamples, groups)
    spread: float  # of the draws about the estimate
    inflation: float  # of the standard error, for a few groups

    @property
    def units(self) -> int:
        """The number of units that are resampled."""
        return self.counts.shape[1]

    def ratio(self, numerator: Sequence[float], denominator: Sequence[float]) -> Estimate | None:
        """Sum over sum with its interval; None where the denominator is nothing."""
        above = np.bincount(self.group, np.asarray(numerator, float), self.units)
        below = np.bincount(self.group, np.asarray(denominator, float), self.units)
        if below.sum() <= 0:
            return None
        value = float(above.sum() / below.sum())
        if self.units < 2:
            return Estimate(value, None, 0.5, 0.0, self.units)
        sums = self.counts @ below
        drawn = (self.counts @ above)[sums > 0] / sums[sums > 0]
        spread = value + self.spread * (drawn - value)
        tail = (1 - CONFIDENCE) / 2
        low, high = np.quantile(spread, [tail, 1 - tail])
        error = float(drawn.std() * self.inflation)
        error = error if error > 1e-12 * abs(value) else 0.0  # not a float's last digit
        under = _below_zero(value, error, self.units)
        return Estimate(value, (float(low), float(high)), under, error, self.units)


def _below_zero(value: float, error: float, units: int) -> float:
    from scipy.special import stdtr

    if not error:
        return 0.5 - 0.5 * np.sign(value)
    return float(stdtr(units - 1, -value / error))


def resample_groups(groups: Sequence[str], seed: int) -> Draws:
    """Resample whole groups: what the figures would be with other speakers of the same kind."""
    from scipy.special import ndtri, stdtrit

    names, index = np.unique(np.asarray(groups), return_inverse=True)
    k = len(names)
    counts = _resampled(np.zeros(k, int), seed)
    inflation = math.sqrt(k / (k - 1)) if k > 1 else 1.0
    top = (1 + CONFIDENCE) / 2
    t = float(stdtrit(k - 1, top) / ndtri(top)) if k > 1 else 1.0
    return Draws(index, counts, inflation * t, inflation)


def within_groups(groups: Sequence[str], seed: int) -> Draws:
    """Resample clips of each group by itself: other clips of these same speakers."""
    _, stratum = np.unique(np.asarray(groups), return_inverse=True)
    return Draws(np.arange(len(groups)), _resampled(stratum, seed), 1.0, 1.0)


def _resampled(stratum: np.ndarray, seed: int) -> np.ndarray:
    """Draws of each unit when those of a stratum take each other's places, with
    replacement: (resamples, units), seeded."""
    units = len(stratum)
    order = np.argsort(stratum, kind="stable")
    _, start, size = np.unique(stratum[order], return_index=True, return_counts=True)
    begin, width = np.repeat(start, size), np.repeat(size, size)
    rng = np.random.default_rng(seed)
    counts = np.empty((max(min(RESAMPLES, _LARGEST // units), 1), units))
    for row in counts:
        drawn = order[begin + (rng.random(units) * width).astype(int)]
        row[:] = np.bincount(drawn, minlength=units)
    return counts


def wider_of(one: Estimate | None, other: Estimate | None) -> Estimate | None:
    """The wider of two estimates of one figure: speakers that happen to agree do not make the clips
    they were measured on certain."""
    if one is None or other is None or one.interval is None or other.interval is None:
        return one
    ends = (*one.interval, *other.interval)
    error = max(one.standard_error, other.standard_error)
    under = min(one.below_zero, other.below_zero, key=lambda share: abs(share - 0.5))
    return Estimate(one.value, (min(ends), max(ends)), under, error, one.units)


def clips_needed(clips: int, groups: int, standard_error: float, effect: float) -> int | None:
    """Clips, of proportionally more speakers, that show `effect` four times in five.

    The standard error falls with the square root of their number, and Student's t with the number
    of groups. Rounded up to two digits; None if these would have shown it already, or if it would
    take more than a million times as many.
    """
    from scipy.special import ndtri, stdtrit

    factor = 1.0
    while effect and standard_error and factor < 1e6:
        t = stdtrit(groups * factor - 1, (1 + CONFIDENCE) / 2)
        if (t + ndtri(POWER)) * standard_error / math.sqrt(factor) <= abs(effect):
            needed = math.ceil(clips * factor)
            unit = 10 ** max(len(str(needed)) - 2, 0)
            return math.ceil(needed / unit) * unit if factor > 1 else None
        factor *= 1.02
    return None
