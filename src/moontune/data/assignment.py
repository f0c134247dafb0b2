"""Whole groups put into splits so that each comes near its share: a local search, and of few
groups every placement."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Sequence

_RESTARTS = 48
_MOST_TRIED = 3**9  # placements; more are searched alone
_Rank = tuple[float, int, float]


def assign(sizes: Sequence[float], wanted: Sequence[float], seed: int) -> list[int]:
    """Place whole groups into splits; returns the split index of each group.

    Minimises the sum of absolute differences between achieved and wanted shares by local search
    (moves and swaps) from many seeded starts; of few groups, where that misses a nearer placement,
    it is taken. Among placements equally near (to half a per cent), the one with more groups in the
    smaller of validation and test wins: their figures rest on how many speakers they hold. Every
    split gets at least one group.
    """
    n = len(sizes)
    found = []
    for start in range(_RESTARTS if n <= 200 else _RESTARTS // 8):
        rng = random.Random(f"{seed}/{start}")
        placed = _start(sizes, wanted, rng)
        _improve(sizes, wanted, placed, rng)
        found.append(placed)
    best = _best(sizes, wanted, found)
    if len(wanted) ** n <= _MOST_TRIED and (best is None or best[0][0] > 0):
        every = _best(sizes, wanted, itertools.product(range(len(wanted)), repeat=n))
        if best is None or (every is not None and every[0][0] < best[0][0]):
            best = every
    if best is None:  # cannot happen with n >= k; kept as our own check
        raise AssertionError(f"no placement of {n} groups into {len(wanted)} splits")
    return best[1]


def _best(
    sizes: Sequence[float], wanted: Sequence[float], placements: Iterable[Sequence[int]]
) -> tuple[_Rank, list[int]] | None:
    """The placement of the lowest rank, the first of several, which leaves no split empty."""
    best: tuple[_Rank, list[int]] | None = None
    for placed in placements:
        members = [placed.count(s) for s in range(len(wanted))]
        if min(members) == 0:
            continue
        cost = _cost(sizes, wanted, placed)
        rank = (round(cost * 200) / 200, -min(members[1:]), cost)
        if best is None or rank < best[0]:
            best = (rank, list(placed))
    return best


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
