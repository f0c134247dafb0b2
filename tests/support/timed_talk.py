"""Recordings of noise and pauses, what is said in them and when, and whether clips are cut so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from imports import Result, write

# Speech of a recording of 14 s; two sentences of two parts, and one in the middle.
SPANS = ((0.5, 1.5), (1.9, 3.0), (4.5, 6.0), (8.0, 9.5), (10.0, 11.0))
SAID = (
    "The red boat sails",
    "home to the quay.",
    "Seven birds sing.",
    "A cold wind",
    "blows north.",
)
WHOLE = ("The red boat sails home to the quay.", "Seven birds sing.", "A cold wind blows north.")
WANTED = ((0.5, 3.0), (4.5, 6.0), (8.0, 11.0))
LENGTH_S = 14.0


def speech(
    spans: tuple[tuple[float, float], ...] = SPANS, length_s: float = LENGTH_S
) -> np.ndarray:
    """Loud noise where somebody speaks and a hiss elsewhere, of 16 bits."""
    rng = np.random.default_rng(1)
    loud = np.full(round(16_000 * length_s), 20)
    for start, end in spans:
        loud[round(16_000 * start) : round(16_000 * end)] = 6000
    return (rng.uniform(-1, 1, len(loud)) * loud).astype(np.int16).astype(np.float32) / 32768


def recording(folder: Path, name: str = "talk.wav") -> np.ndarray:
    samples = speech()
    write(folder / name, samples)
    return samples


def clock(seconds: float, point: str = ",") -> str:
    ms = round(1000 * seconds)
    return f"{ms // 3600000:02}:{ms // 60000 % 60:02}:{ms // 1000 % 60:02}{point}{ms % 1000:03}"


def timed(shift_s: float = 0.0) -> list[tuple[float, float, str]]:
    return [(s + shift_s, e + shift_s, text) for (s, e), text in zip(SPANS, SAID, strict=True)]


def words() -> list[tuple[float, float, str]]:
    """Every word of SAID with a time of its own, without a pause between those of a part."""
    found = []
    for (start, end), text in zip(SPANS, SAID, strict=True):
        parts = text.split()
        step = (end - start) / len(parts)
        found += [(start + i * step, start + (i + 1) * step, w) for i, w in enumerate(parts)]
    return found


def cut_as_wanted(result: Result, samples: np.ndarray, wanted=WANTED) -> None:
    """Every clip is the recording's samples, begins and ends in the pauses around its sentence,
    and holds nobody else's words."""
    assert len(result.rows) == len(wanted)
    for u, audio, (start, end) in zip(result.rows, result.sounds, wanted, strict=True):
        places = np.lib.stride_tricks.sliding_window_view(samples, 64)
        [at] = np.flatnonzero((places == audio[:64]).all(axis=1))
        np.testing.assert_array_equal(samples[at : at + len(audio)], audio)
        begun, ended = at / 16_000, (at + len(audio)) / 16_000
        assert begun <= start <= begun + 0.35, u.text
        assert ended - 0.35 <= end <= ended, u.text
