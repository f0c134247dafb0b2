"""Whole groups put into splits so that each comes near its share: a local search."""

from __future__ import annotations

import random
from collections.abc import Sequence

_RESTARTS = 48


def assign(sizes: Sequence[float], wanted: Sequence[float], seed: int) -> list[int]:
    """Place whole groups into splits; returns the split index of each group.

    Minimises the sum of absolute differences between achieved and wanted shares by local search
    (moves and swaps) from many seeded starts. Among placements equally near (to half a per cent),
    the one with more groups in the smaller of validation and test wins: their figures rest on how
    many speakers they hold. Every split gets at least one group.
    """
    n, k = len(sizes), len(wanted)
    best: tuple[tuple[float, int, float], list[int]] | None = None
    for start in range(_RESTARTS if n <= 200 else _RESTARTS // 8):
        rng = random.Random(f"{seed}/{start}")
        placed = _start(sizes, wanted, rng)
        _improve(sizes, wanted, placed, rng)
        members = [placed.count(s) for s in range(k)]
        if min(members) == 0:
            continue
        cost = _cost(sizes, wanted, placed)
        rank = (round(cost * 200) / 200, -min(members[1:]), cost)
        if best is None or rank < best[0]:
            best = (rank, placed)
    if best is None:  # cannot happen with n >= k; kept as our own check
        raise AssertionError(f"no placement of {n} groups into {k} splits")
    return best[1]


def _cost(sizes: Sequence[float], wanted: Sequence[float], placed: Sequence[int]) -> float:
    have = [0.0] * len(wanted)
    for size, s in zip(sizes, placed, strict=True):
        have[s] += size
    return sum(abs(h - w) for h, w in zip(have, wanted, strict=True))


def _start(sizes: Sequence[float], wanted: Sequence[float], rng: random.Random) -> list[int]:
    """One random group for each split, then each group to the split that lacks most."""
    order = list(range(len(sizes)))
    rng.shuffle(order)
    # The largest groups cannot sit in a small split without spoiling it: seed those with small ones
    seeds = sorted(order[: max(len(wanted), len(order) // 2)], key=lambda g: sizes[g])
    placed = [-1] * len(sizes)
    have = [0.0] * len(wanted)
    small = range(1, len(wanted))
    for s, g in zip((*small, 0), (*seeds[: len(small)], seeds[-1]), strict=True):
        placed[g] = s
        have[s] += sizes[g]
    for g in order:
        if placed[g] < 0:
            s = max(range(len(wanted)), key=lambda i: wanted[i] - have[i])
            placed[g] = s
            have[s] += sizes[g]
    return placed


def _improve(
    sizes: Sequence[float], wanted: Sequence[float], placed: list[int], rng: random.Random
) -> None:
    """Move one group or swap two while that brings the shares nearer; in place."""
    k = len(wanted)
    have = [0.0] * k
    members = [placed.count(s) for s in range(k)]
    for size, s in zip(sizes, placed, strict=True):
        have[s] += size

    def gain(changes: dict[int, float]) -> float:
        before = sum(abs(have[s] - wanted[s]) for s in changes)
        return before - sum(abs(have[s] + d - wanted[s]) for s, d in changes.items())

    # Swaps are quadratic; with very many groups (single utterances) moves alone come near enough.
    pairs = len(sizes) <= 200
    for _ in range(200):
        changed = False
        order = list(range(len(sizes)))
        rng.shuffle(order)
        for g in order:
            a = placed[g]
            for b in range(k):
                if b != a and members[a] > 1 and gain({a: -sizes[g], b: sizes[g]}) > 1e-9:
                    have[a] -= sizes[g]
                    have[b] += sizes[g]
                    members[a] -= 1
                    members[b] += 1
                    placed[g] = a = b
                    changed = True
            for h in order if pairs else ():
                b = placed[h]
                d = sizes[g] - sizes[h]
                if a != b and gain({a: -d, b: d}) > 1e-9:
                    have[a] -= d
                    have[b] += d
                    placed[g], placed[h] = b, a
                    a, changed = b, True
        if not changed:
            return
