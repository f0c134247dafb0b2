"""How reliable confidences are: of the words called 90 % sure, how many are right."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from moontune.evaluation.bootstrap import Draws, resample_groups
from moontune.evaluation.confidence.judged import JudgedWord
from moontune.evaluation.measures import Interval

_BINS = 10  # of equal width
_Z = 1.96


@dataclass(frozen=True)
class ReliabilityBin:
    """Words of like confidence."""

    low: float
    high: float
    words: int
    predicted: float  # mean confidence
    observed: float  # share that is right
    interval: Interval  # 95 %, of `observed`


@dataclass(frozen=True)
class Reliability:
    """Confidences held against what is right. Deletions have no word, so they are no part of it."""

    clips: int
    words: int
    right: int
    brier: float  # mean squared error of the chance; less is better
    brier_share: float  # of saying the share of right words of every word
    ece: float  # expected calibration error, over the bins
    auc: float | None  # chance that a right word is surer than a wrong one; None: all alike
    bins: list[ReliabilityBin]

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> Reliability:
        bins = [ReliabilityBin(**{**b, "interval": Interval(*b["interval"])}) for b in row["bins"]]
        return cls(**{**row, "bins": bins})


@dataclass(frozen=True)
class WordConfidence:
    """Confidences of a model's words on test clips: what they rest on, and how reliable."""

    says: str
    test: Reliability
    default_brier: float  # of the same words by the default
    default_ece: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, row: dict[str, Any] | None) -> WordConfidence | None:
        return None if row is None else cls(**{**row, "test": Reliability.from_json(row["test"])})


def word_confidence(
    says: str,
    default: Sequence[Sequence[JudgedWord]],
    calibrated: Sequence[Sequence[JudgedWord]],
    resampling: tuple[Sequence[str], int],
) -> WordConfidence | None:
    """The same words by default and calibrated; `resampling`: as of `reliability`."""
    test, before = reliability(calibrated, *resampling), reliability(default, *resampling)
    if test is None or before is None:
        return None
    return WordConfidence(says, test, before.brier, before.ece)


def reliability(
    clips: Sequence[Sequence[JudgedWord]], groups: Sequence[str], seed: int
) -> Reliability | None:
    """Of the words of clips, each clip of a group that is resampled whole, as speakers are; None
    where there are no words."""
    sure = np.array([word.confidence for clip in clips for word in clip])
    right = np.array([word.right for clip in clips for word in clip], bool)
    if not len(sure):
        return None
    clip_of = np.repeat(np.arange(len(clips)), [len(clip) for clip in clips])
    draws, place = resample_groups(groups, seed), _bin_of(sure)
    share = float(right.mean())
    return Reliability(
        clips=len(clips),
        words=len(sure),
        right=int(right.sum()),
        brier=brier_score(sure, right),
        brier_share=share * (1 - share),
        ece=calibration_error(sure, right),
        auc=auc(sure, right),
        bins=[
            ReliabilityBin(
                low=i / _BINS,
                high=(i + 1) / _BINS,
                words=int(inside.sum()),
                predicted=float(sure[inside].mean()),
                observed=float(right[inside].mean()),
                interval=_interval(right[inside], clip_of[inside], draws),
            )
            for i in range(_BINS)
            if (inside := place == i).any()
        ],
    )


def brier_score(sure: np.ndarray, right: np.ndarray) -> float:
    """Mean squared difference of confidences and right (1) or wrong (0), (words,) each."""
    return float(np.mean((sure - right) ** 2)) if len(sure) else 0.0


def calibration_error(sure: np.ndarray, right: np.ndarray) -> float:
    """Mean difference of confidence and share of right words over ten bins of equal width, each
    counted by its words (Naeini et al. 2015)."""
    place, error = _bin_of(sure), 0.0
    for i in np.unique(place):
        inside = place == i
        error += abs(float(sure[inside].sum() - right[inside].sum()))
    return error / len(sure) if len(sure) else 0.0


def _bin_of(sure: np.ndarray) -> np.ndarray:
    return np.minimum((sure * _BINS).astype(int), _BINS - 1)


def auc(sure: np.ndarray, right: np.ndarray) -> float | None:
    """Share of pairs of a right and a wrong word in which the right one is surer, ties half."""
    from scipy.stats import rankdata

    good = int(right.sum())
    pairs = good * (len(right) - good)
    if not pairs:
        return None
    return float((rankdata(sure)[right].sum() - good * (good + 1) / 2) / pairs)


def _interval(right: np.ndarray, clip_of: np.ndarray, draws: Draws) -> Interval:
    """Of the share of right words: by resampling groups, but no shorter than of words that know
    nothing of each other (Wilson 1927)."""
    clips = len(draws.group)
    found = draws.ratio(
        np.bincount(clip_of, right, clips).tolist(), np.bincount(clip_of, minlength=clips).tolist()
    )
    ends = [*_wilson(int(right.sum()), len(right)), *((found and found.interval) or ())]
    return Interval(max(0.0, min(ends)), min(1.0, max(ends)))


def _wilson(right: int, words: int) -> tuple[float, float]:
    share, spread = right / words, _Z**2 / words
    middle = (share + spread / 2) / (1 + spread)
    half = _Z / (1 + spread) * math.sqrt(share * (1 - share) / words + spread / words / 4)
    return middle - half, middle + half
