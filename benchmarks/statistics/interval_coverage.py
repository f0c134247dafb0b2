"""How often a 95 % interval of a WER difference covers the truth, by number of speakers.

Simulated: every speaker has a gain of its own about a true one of zero, clips scatter about it, and
either all speakers have as many clips or the first has half of them. Prints a Markdown table:

    uv run python -m benchmarks.statistics.interval_coverage
"""

from __future__ import annotations

import argparse

import numpy as np

from moontune.evaluation.bootstrap import Draws, Estimate, resample_groups, wider_of, within_groups

SPEAKERS = (2, 3, 4, 5, 6, 8, 12, 20, 40)
CLIPS = 100
BETWEEN = (0.0, 0.02, 0.05)  # standard deviation of speakers' own WER differences
ERRORS_PER_WORD = 0.12  # variance of a clip's difference in errors, per word


def clips_of(speakers: int, balanced: bool) -> np.ndarray:
    """Speaker index of each of about CLIPS clips."""
    if balanced:
        return np.repeat(np.arange(speakers), max(CLIPS // speakers, 2))
    rest = np.repeat(np.arange(1, speakers), max(CLIPS // 2 // (speakers - 1), 2))
    return np.concatenate([np.zeros(CLIPS // 2, int), rest])


def estimate(draws: Draws, change: np.ndarray, words: np.ndarray) -> Estimate:
    found = draws.ratio(change.tolist(), words.tolist())
    assert found is not None
    return found


def covers(found: Estimate | None) -> bool:
    assert found is not None
    assert found.interval is not None
    return found.interval[0] <= 0 <= found.interval[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    print("| speakers | clips | plain percentile | ours | clips within speakers |")
    print("|---|---|---|---|---|")
    for k in SPEAKERS:
        for balanced in (True, False):
            group = clips_of(k, balanced)
            names = [f"{g:03}" for g in group]
            ours = resample_groups(names, args.seed)
            plain = Draws(ours.group, ours.counts, 1.0, 1.0)
            inside = within_groups(names, args.seed)
            hits = np.zeros(3)
            for repeat in range(args.repeats):
                own = rng.normal(0, BETWEEN[repeat % len(BETWEEN)], k)[group]
                words = rng.integers(3, 15, len(group)).astype(float)
                noise = rng.normal(0, np.sqrt(ERRORS_PER_WORD * words))
                change = np.round(noise + own * words)
                usual, spread, clips = (estimate(d, change, words) for d in (plain, ours, inside))
                hits += [covers(e) for e in (usual, wider_of(spread, clips), clips)]
            shares = " | ".join(f"{100 * h / args.repeats:.0f} %" for h in hits)
            size = "equal" if balanced else "one has half"
            print(f"| {k}, {size} | {len(group)} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
