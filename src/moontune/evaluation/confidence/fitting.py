"""A calibration fitted to words of which it is known whether they are right.

Two numbers, by maximum likelihood with a normal prior about the default's: with the words of some
ten clips nothing that bends more holds on other clips (docs/experiments.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from moontune.evaluation.confidence.judged import JudgedWord
from moontune.evaluation.confidence.reliability import brier_score, calibration_error
from moontune.models.confidence.calibration import Calibration, Origin, log_odds

FEWEST_WORDS = 100  # that a calibration of one's own takes
FEWEST_OF_EACH = 10  # of them right, and as many wrong
_PRIOR = 20.0  # inverse variance of intercept and slope about 0 and 1
_LEAST_SLOPE, _MOST = 0.1, 10.0


def fit_calibration(clips: Sequence[Sequence[JudgedWord]]) -> Calibration:
    """A calibration of one's own, or the default where there are too few words, with what both are
    worth on these clips, whose words have the default's confidences."""
    words = [word for clip in clips for word in clip]
    sure = np.array([word.confidence for word in words])
    right = np.array([word.right for word in words], bool)
    remark = _too_few(len(words), int(right.sum()))
    found = Calibration() if remark else Calibration(*_fitted(sure, right), own=True)
    pairs = [(sure, right), (np.array([found(p) for p in sure.tolist()]), right)]
    origin = Origin(
        clips=len(clips),
        words=len(words),
        right=int(right.sum()),
        brier=(brier_score(*pairs[0]), brier_score(*pairs[1])),
        ece=(calibration_error(*pairs[0]), calibration_error(*pairs[1])),
        remark=remark,
    )
    return Calibration(found.intercept, found.slope, found.own, origin)


def _too_few(words: int, right: int) -> str:
    """Why there are too few words to calibrate on; empty where there are enough."""
    if words < FEWEST_WORDS:
        return f"{words} words of validation clips, and it takes {FEWEST_WORDS}"
    least = min(right, words - right)
    if least < FEWEST_OF_EACH:
        of = "wrong" if right > least else "right"
        return f"{least} {of} words of validation clips, and it takes {FEWEST_OF_EACH}"
    return ""


def _fitted(sure: np.ndarray, right: np.ndarray) -> tuple[float, float]:
    """Intercept and slope of log odds, from the default's confidences, (words,)."""
    from scipy.optimize import minimize

    odds, default = np.array([log_odds(p) for p in sure.tolist()]), np.array([0.0, 1.0])

    def loss(found: np.ndarray) -> tuple[float, np.ndarray]:
        """Of the words and the prior, nats, and its gradient."""
        z, away = found[0] + found[1] * odds, found - default
        surplus = 1 / (1 + np.exp(-z)) - right
        total = float((np.logaddexp(0, z) - right * z).sum() + _PRIOR * (away @ away) / 2)
        return total, np.array([surplus.sum(), surplus @ odds]) + _PRIOR * away

    bounds = [(-_MOST, _MOST), (_LEAST_SLOPE, _MOST)]
    found = minimize(loss, default, jac=True, method="L-BFGS-B", bounds=bounds).x
    return float(found[0]), float(found[1])
