from __future__ import annotations

import numpy as np
import pytest

from moontune.evaluation.bootstrap import (
    Draws,
    Estimate,
    clips_needed,
    resample_groups,
    within_groups,
)


def ratio(draws: Draws, numerator, denominator) -> Estimate:
    found = draws.ratio(list(numerator), list(denominator))
    assert found is not None
    return found


def simulated(rng, speakers: int, gain: float):
    """Changes in errors and words of clips whose speakers have gains of their own about `gain`."""
    group = np.repeat(np.arange(speakers), 12)
    words = rng.integers(3, 15, len(group)).astype(float)
    own = rng.normal(gain, 0.03, speakers)[group]
    return [f"s{g}" for g in group], own * words + rng.normal(0, np.sqrt(0.12 * words)), words


@pytest.mark.parametrize("speakers", [3, 10])
def test_intervals_cover_the_truth_about_as_often_as_they_say(speakers) -> None:
    rng = np.random.default_rng(0)
    names, _, _ = simulated(rng, speakers, 0.0)
    draws = resample_groups(names, 1)
    covered = 0
    for _ in range(300):
        _, change, words = simulated(rng, speakers, -0.04)
        low, high = ratio(draws, change, words).interval or (0, 0)
        covered += low <= -0.04 <= high
    assert 0.89 <= covered / 300 <= 0.985  # the plain percentile interval: 0.75 with 3 speakers


def test_estimate_is_a_ratio_of_sums_and_repeatable() -> None:
    names, over = ["a", "a", "b"], [10.0, 30.0, 60.0]
    one = resample_groups(names, 7).ratio([5, 5, 0], over)
    assert one is not None
    assert one.value == pytest.approx(0.1)
    assert one == resample_groups(names, 7).ratio([5, 5, 0], over)
    assert one != resample_groups(names, 8).ratio([5, 5, 0], over)
    assert resample_groups(names, 7).ratio([0, 0, 0], [0, 0, 0]) is None


def test_probability_follows_the_sign_and_nothing_is_half() -> None:
    names = [f"s{i}" for i in range(20)]
    draws = resample_groups(names, 1)
    assert ratio(draws, [-1.0] * 20, [5.0] * 20).below_zero == 1.0
    assert ratio(draws, [1.0] * 20, [5.0] * 20).below_zero == 0.0
    assert ratio(draws, [0.0] * 20, [5.0] * 20).below_zero == 0.5


def test_whole_speakers_are_drawn_so_alike_clips_do_not_count_twice() -> None:
    """Twelve clips of a speaker that all moved alike say no more than one."""
    change = [1.0, -1.0, 1.0, -1.0, 1.0, -1.0]
    single = ratio(resample_groups([f"s{i}" for i in range(6)], 3), change, [10.0] * 6)
    names = [f"s{i}" for i in range(6) for _ in range(12)]
    changes, words = [c for c in change for _ in range(12)], [10.0] * 72
    many = ratio(resample_groups(names, 3), changes, words)
    assert many.interval == pytest.approx(single.interval)
    inside = ratio(within_groups(names, 3), changes, words)
    assert inside.interval == pytest.approx((0, 0))  # within a speaker nothing varies


def test_clips_needed_grows_with_the_square_of_what_is_to_be_shown() -> None:
    assert clips_needed(100, 50, 0.01, 0.01) == pytest.approx(790, rel=0.05)  # (1.96 + 0.84)^2
    assert clips_needed(100, 50, 0.01, 0.005) == pytest.approx(4 * 790, rel=0.05)
    assert (clips_needed(100, 2, 0.01, 0.01) or 0) > 790  # Student's t of one degree of freedom
    assert clips_needed(100, 50, 0.01, 0.0) is None
