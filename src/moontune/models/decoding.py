"""A transcript, how long it may get, and what is decoded together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from moontune.config.schema import TokenCap

BATCH = 32  # clips decoded together; no figure depends on it
_BATCH_S = 320.0  # and seconds of them, which bounds the memory


@dataclass(frozen=True)
class TimedWord:
    """A word as it is written, and when it is spoken, in seconds."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Transcript:
    text: str
    tokens: list[int]  # without the start token; ends in EOS unless truncated
    truncated: bool  # the token cap ended it
    words: tuple[TimedWord, ...] | None = None  # None: not asked for, or not to be told


# Clips of float32 mono 16 kHz samples, (samples,) each, to their transcripts, under a token cap.
Transcribe = Callable[[Sequence[np.ndarray], TokenCap], list[Transcript]]


def length_batches(lengths_s: Sequence[float]) -> Iterator[list[int]]:
    """Indices of clips of like length together, so that they end at about the same token."""
    order = sorted(range(len(lengths_s)), key=lengths_s.__getitem__)
    waiting: list[int] = []
    for i in order:
        if waiting and (len(waiting) == BATCH or (len(waiting) + 1) * lengths_s[i] > _BATCH_S):
            yield waiting
            waiting = []
        waiting.append(i)
    if waiting:
        yield waiting
