"""Where in the script each piece can be, by runs of words that both have once.

As in a patience diff: runs of words that the script has once and the recording has once, in the
longest order that both share. One that no other is near is not believed. Between two of them an
alignment looks no further than from the one to the other, so three hours take seconds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

RUN = 4  # words
SLACK = 40  # words of the script beyond an anchor that are looked at all the same
_NEAR, _SHIFT = 40, 12  # words to another anchor, and by how many the two may be shifted


def bands(pieces: Sequence[Sequence[str]], script: Sequence[str]) -> list[tuple[int, int]]:
    """For each piece, of words as they sound, the first and last place of the script to look at;
    neither ever goes back."""
    heard = [word for piece in pieces for word in piece]
    found = anchors(heard, script)
    in_heard = [at for at, _ in found]
    limits, at, first, last = [], 0, 0, 0
    for piece in pieces:
        before = bisect_left(in_heard, at) - 1
        while before >= 0 and in_heard[before] + RUN > at:
            before -= 1
        at += len(piece)
        after = bisect_left(in_heard, at)
        low = found[before][1] - SLACK if before >= 0 else 0
        high = found[after][1] + RUN + SLACK if after < len(found) else len(script)
        first = max(first, low)
        last = max(last, min(high, len(script)))
        limits.append((first, last))
    return limits


def anchors(heard: Sequence[str], script: Sequence[str]) -> list[tuple[int, int]]:
    """Places in what was heard and in the script at which the same run of words begins."""
    here, there = _once(heard), _once(script)
    pairs = sorted((at, there[run]) for run, at in here.items() if run in there)
    return _supported(_rising(pairs))


def _once(words: Sequence[str]) -> dict[tuple[str, ...], int]:
    """The place of each run of words that is there once."""
    places: dict[tuple[str, ...], int] = {}
    for i in range(len(words) - RUN + 1):
        run = tuple(words[i : i + RUN])
        places[run] = -1 if run in places else i
    return {run: i for run, i in places.items() if i >= 0}


def _rising(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest selection in which both numbers rise."""
    tails: list[int] = []  # the least last number of a selection, by its length
    ends: list[int] = []
    before: list[int] = []
    for i, (_, number) in enumerate(pairs):
        length = bisect_left(tails, number)
        before.append(ends[length - 1] if length else -1)
        if length == len(tails):
            tails.append(number)
            ends.append(i)
        else:
            tails[length], ends[length] = number, i
    chosen, i = [], ends[-1] if ends else -1
    while i >= 0:
        chosen.append(pairs[i])
        i = before[i]
    return chosen[::-1]


def _supported(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Those that another one is near, shifted by about as much."""

    def agree(one: tuple[int, int], other: tuple[int, int]) -> bool:
        heard, script = other[0] - one[0], other[1] - one[1]
        return RUN <= heard <= _NEAR and abs(script - heard) <= _SHIFT

    good: set[int] = set()
    for i, pair in enumerate(pairs):
        for k in range(i + 1, len(pairs)):
            if pairs[k][0] - pair[0] > _NEAR:
                break
            if agree(pair, pairs[k]):
                good |= {i, k}
    return [pairs[i] for i in sorted(good)]
