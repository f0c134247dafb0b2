"""Confidences held against what is right, and calibrated by it."""

from __future__ import annotations

import json
import re
from dataclasses import asdict

import numpy as np
import pytest

from moontune.evaluation.confidence.fitting import (
    FEWEST_OF_EACH,
    FEWEST_WORDS,
    fit_calibration,
)
from moontune.evaluation.confidence.judged import JudgedWord, judged_row, judged_words
from moontune.evaluation.confidence.reliability import (
    Reliability,
    reliability,
    word_confidence,
)
from moontune.evaluation.predictions import prediction_row


def drawn(words: int, intercept: float, slope: float, seed: int = 0) -> list[list[JudgedWord]]:
    """Clips of ten words, right as often as these log odds of their confidences say."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(1.5, 1.5, words)
    right = rng.random(words) < 1 / (1 + np.exp(-(intercept + slope * odds)))
    sure = 1 / (1 + np.exp(-odds))
    all_words = [JudgedWord(float(p), bool(r)) for p, r in zip(sure, right, strict=True)]
    return [all_words[i : i + 10] for i in range(0, words, 10)]


@pytest.mark.parametrize(
    ("reference", "hypothesis", "right"),
    [
        ("the cat sat", "The hat sat.", [True, False, True]),
        ("the cat sat", "cat sat down", [True, True, False]),  # what is left out has no word
        ("I have it", "Uh, I've it", [True, True]),  # no uh, which WER does not count
        ("21 men", "twenty one hens", [True, False]),  # normalised together, and counted once
        ("", "no", [False]),
        ("yes", "", []),
    ],
)
def test_words_are_right_where_wer_has_no_error(reference, hypothesis, right) -> None:
    sure = [0.5 + i / 100 for i in range(len(hypothesis.split()))]
    found = judged_words(reference, hypothesis, sure)
    assert [word.right for word in found] == right
    assert {word.confidence for word in found} <= set(sure)


def test_a_calibration_finds_how_confidences_are_off() -> None:
    own = fit_calibration(drawn(20_000, -0.8, 0.6))
    assert own.own
    assert own.intercept == pytest.approx(-0.8, abs=0.1)
    assert own.slope == pytest.approx(0.6, abs=0.05)
    assert own.origin is not None
    assert (own.origin.clips, own.origin.words) == (2_000, 20_000)
    assert own.origin.brier[1] < own.origin.brier[0]
    assert own.origin.ece[1] < 0.02 < own.origin.ece[0]


def test_few_words_are_held_near_the_default_and_never_turned_around() -> None:
    few = [fit_calibration(drawn(FEWEST_WORDS + 20, -0.8, 0.6, seed)) for seed in range(12)]
    assert all(found.own for found in few)
    assert -0.65 < np.mean([found.intercept for found in few]) < -0.2
    turned = [[JudgedWord(0.9 - 0.8 * w.right, w.right) for w in c] for c in drawn(5_000, 0, 1)]
    against = fit_calibration(turned)
    chances = [against(p / 20) for p in range(21)]
    assert sorted(set(chances)) == chances


def test_too_few_words_leave_the_default_and_say_so() -> None:
    for clips, says in (
        ([], f"0 words of validation clips, and it takes {FEWEST_WORDS}"),
        (drawn(FEWEST_WORDS - 10, 0, 1), f"{FEWEST_WORDS - 10} words"),
        ([[JudgedWord(0.9, True)] * 500], f"0 wrong words of.* {FEWEST_OF_EACH}"),
        ([[JudgedWord(0.9, False)] * 500], f"0 right words of.* {FEWEST_OF_EACH}"),
    ):
        found = fit_calibration(clips)
        assert (found.own, found(0.7)) == (False, 0.7)
        assert re.search(f"not calibrated on your voice: {says}", found.says)


def test_figures_of_hand_made_confidences() -> None:
    clips = [
        [JudgedWord(0.95, True), JudgedWord(0.95, True)],
        [JudgedWord(0.95, False), JudgedWord(0.15, False)],
    ]
    found = reliability(clips, ["a", "b"], 1)
    assert found is not None
    assert (found.clips, found.words, found.right) == (2, 4, 2)
    assert found.brier == pytest.approx((2 * 0.05**2 + 0.95**2 + 0.15**2) / 4)
    assert found.brier_share == 0.25
    assert found.ece == pytest.approx((abs(3 * 0.95 - 2) + 0.15) / 4)
    assert found.auc == pytest.approx((2 * 0.5 + 2) / 4)
    low, high = found.bins
    assert (low.low, low.words, low.observed) == (0.1, 1, 0)
    assert (high.low, high.words, high.predicted) == (0.9, 3, pytest.approx(0.95))
    for one in found.bins:
        assert 0 <= one.interval.low <= one.observed <= one.interval.high <= 1
        assert one.interval.high - one.interval.low > 0.3  # so few words say little
    assert Reliability.from_json(json.loads(json.dumps(asdict(found)))) == found
    assert reliability([[]], ["a"], 1) is None


def test_intervals_are_those_of_speakers() -> None:
    """One speaker all right and another all wrong is less than words that know nothing of each
    other."""
    of_two = [[JudgedWord(0.8, right)] * 10 for right in (True, False) for _ in range(20)]
    groups = ["ann"] * 20 + ["ben"] * 20
    [apart] = getattr(reliability(of_two, [str(i) for i in range(40)], 1), "bins", [])
    [together] = getattr(reliability(of_two, groups, 1), "bins", [])
    assert together.interval.low < apart.interval.low < 0.5
    assert together.interval.high > apart.interval.high > 0.5


def test_calibrated_on_one_half_they_hold_on_the_other() -> None:
    before, after = drawn(4_000, -0.8, 0.6), drawn(4_000, -0.8, 0.6, seed=1)
    own = fit_calibration(before)
    calibrated = [[JudgedWord(own(w.confidence), w.right) for w in clip] for clip in after]
    groups = [str(i) for i in range(len(after))]
    found = word_confidence(own.says, after, calibrated, (groups, 1))
    assert found is not None
    assert found.test.ece < 0.03 < found.default_ece
    assert found.test.brier < found.default_brier


def test_confidences_of_other_programs_are_checked() -> None:
    row = {"reference": "a cat", "hypothesis": "a hat"}
    consensus = {"hypothesis": "a cat", "confidences": [0.9, 0.4]}
    read = prediction_row({**row, "consensus": consensus}, "1")
    assert judged_row(read) == [JudgedWord(0.9, True), JudgedWord(0.4, True)]
    assert judged_row(prediction_row(row, "1")) is None
    older = prediction_row({**row, "consensus": {"hypothesis": "a cat"}}, "1")
    assert judged_row(older) is None
    for wrong in ([0.9], [0.9, 1.2], ["a", "b"], 0.9, [float("nan"), 0.1]):
        with pytest.raises(ValueError, match="no confidence"):
            prediction_row({**row, "consensus": {**consensus, "confidences": wrong}}, "1")
