"""Where a recording is cut: at the times that its captions tell, moved into the pause nearby.

People set times by hand and programs round them, so that a tenth of a second is often missing. The
loudness of every hundredth of a second tells where it is quiet. A boundary moves to the nearest
quiet stretch, a quarter of a second at most, and never to the other side of a time at which the
next caption begins or the last one ends; where two captions meet, one cut serves both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from moontune.data.audio import SAMPLE_RATE_HZ
from moontune.transcribe.segmentation import runs

FRAME_S = 0.01
MOST_S = 0.25  # that a boundary is moved
PAD_S = 0.1  # of the pause that stays with the words
_MEET_S = 0.1  # captions with less between them share a boundary
_LEAST_FRAMES = 5  # of a pause; the closing of a `t` is shorter
_FRAME = round(FRAME_S * SAMPLE_RATE_HZ)
# Quiet is so far up from the floor to the loud parts, in decibels; the floor at most so far down.
_SHARE, _DEEPEST_DB = 0.3, 45.0
_SILENCE_DB = -100.0


@dataclass(frozen=True)
class Loudness:
    """The loudness of a recording over time, and where it is quiet."""

    seconds: float
    quiet: np.ndarray  # (pauses, 2), seconds: begin and end of each

    @classmethod
    def of(cls, blocks: Iterable[np.ndarray]) -> Loudness:
        """Of a recording that comes as blocks of float32 mono 16 kHz, each (samples,)."""
        powers, samples, rest = [], 0, np.zeros(0, np.float32)
        for block in blocks:
            samples += len(block)
            rest = np.concatenate([rest, block])
            whole = len(rest) // _FRAME * _FRAME
            powers.append(np.square(rest[:whole].reshape(-1, _FRAME)).mean(axis=1))
            rest = rest[whole:]
        power = np.concatenate(powers) if powers else np.zeros(0, np.float32)
        level = 10 * np.log10(np.maximum(power, 10 ** (_SILENCE_DB / 10)))
        return cls(samples / SAMPLE_RATE_HZ, _pauses(level))

    def pause_near(self, at_s: float, least_s: float, most_s: float) -> tuple[float, float] | None:
        """The pause nearest to a time, cut to the window around it; None where there is none."""
        inside = (self.quiet[:, 1] > least_s) & (self.quiet[:, 0] < most_s)
        best, nearest = None, float("inf")
        for begin, end in self.quiet[inside]:
            begin, end = max(begin, least_s), min(end, most_s)
            away = max(begin - at_s, at_s - end, 0.0)
            if away < nearest and end > begin:
                best, nearest = (float(begin), float(end)), away
        return best


def _pauses(level: np.ndarray) -> np.ndarray:
    if not len(level):
        return np.zeros((0, 2))
    loud = float(np.percentile(level, 95))
    floor = max(float(np.percentile(level, 10)), loud - _DEEPEST_DB)
    quiet = level <= floor + _SHARE * (loud - floor)
    found = [run for run in runs(quiet) if run[1] - run[0] >= _LEAST_FRAMES]
    return np.array(found, float).reshape(-1, 2) * FRAME_S


def cut_times(
    spans: Sequence[tuple[float, float]],
    loudness: Loudness,
    others: Sequence[tuple[float, float]] = (),
) -> list[tuple[float, float]]:
    """Begin and end, seconds, of clips for spans of speech in order of time; `others` are spans of
    speech that no clip shall hold."""
    around = sorted([*spans, *others])
    cuts: list[tuple[float, float]] = []
    for start, end in spans:
        at = around.index((start, end))
        before = around[at - 1][1] if at else 0.0
        after = around[at + 1][0] if at + 1 < len(around) else loudness.seconds
        if at and start - before < _MEET_S:
            new_start = _between(before, start, loudness)[1]
        else:
            new_start = _start(start, (before + start) / 2 if at else 0.0, loudness)
        last = at + 1 == len(around)
        if not last and after - end < _MEET_S:
            new_end = _between(end, after, loudness)[0]
        else:
            new_end = _end(end, after if last else (end + after) / 2, loudness)
        cuts.append(
            (round(new_start, 3), round(new_end, 3)) if new_end > new_start else (start, end)
        )
    return cuts


def _between(end_s: float, start_s: float, loudness: Loudness) -> tuple[float, float]:
    """The end of one clip and the start of the next, where their captions meet."""
    at = (end_s + start_s) / 2
    pause = loudness.pause_near(at, at - MOST_S, at + MOST_S)
    if pause is None:
        return at, at
    middle = (pause[0] + pause[1]) / 2
    return min(pause[0] + PAD_S, middle), max(pause[1] - PAD_S, middle)


def _end(at_s: float, limit_s: float, loudness: Loudness) -> float:
    """The end of a clip whose caption ends at `at_s`, before `limit_s`."""
    pause = loudness.pause_near(at_s, at_s - MOST_S, min(at_s + MOST_S, limit_s))
    if pause is None:
        return at_s
    begin, end = pause
    if begin <= at_s <= end:
        return max(at_s, min(begin + PAD_S, end))
    return min(begin + PAD_S, end)


def _start(at_s: float, limit_s: float, loudness: Loudness) -> float:
    """The start of a clip whose caption begins at `at_s`, after `limit_s`."""
    pause = loudness.pause_near(at_s, max(at_s - MOST_S, limit_s), at_s + MOST_S)
    if pause is None:
        return at_s
    begin, end = pause
    if begin <= at_s <= end:
        return min(at_s, max(end - PAD_S, begin))
    return max(end - PAD_S, begin)
