"""A transcript, how long it may get, and what is decoded together."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from moontune.config.schema import TokenCap

# Something of up to 60 characters, four times or more in a row, over half of the text. A speaker's
# own "No, no, no, no!" is below it.
_REPEATED = re.compile(r"(.{1,60}?)\1{3,}", re.DOTALL)
_FILLS = 0.5
BATCH = 32  # clips decoded together; no figure depends on it
BATCH_S = 160.0  # and seconds of them, which bounds the memory


@dataclass(frozen=True)
class TimedWord:
    """A word as it is written, and when it is spoken, in seconds."""

    text: str
    start_s: float
    end_s: float
    confidence: float | None = None  # chance that it is right, of a consensus of beams


@dataclass(frozen=True)
class Transcript:
    text: str
    tokens: list[int]  # without the start token; ends in EOS unless truncated
    truncated: bool  # the token cap ended it
    words: tuple[TimedWord, ...] | None = None  # None: not asked for, or not to be told
    greedy: Transcript | None = None  # which came to no end, and which this one stands in for
    # Chance that each written word of the text is right; None where no consensus was asked for.
    confidences: tuple[float, ...] | None = None


# Clips of float32 mono 16 kHz samples, (samples,) each, to their transcripts, under a token cap.
Transcribe = Callable[[Sequence[np.ndarray], TokenCap], list[Transcript]]

# Clips, and sentences said one after another in the clip of a place, to the nats of their tokens by
# sentence, (tokens,) each.
TextLosses = Callable[
    [Sequence[np.ndarray], Sequence[tuple[int, Sequence[str]]]], list[list[np.ndarray]]
]


def whole_characters(text: str) -> str:
    """A decoded text without the half of a character that a cap may leave at its end."""
    return text.rstrip("\ufffd").strip()


def length_batches(lengths_s: Sequence[float], most_s: float = BATCH_S) -> Iterator[list[int]]:
    """Indices of clips of like length together, so that they end at about the same token; at most
    so many seconds, or one clip."""
    order = sorted(range(len(lengths_s)), key=lengths_s.__getitem__)
    waiting: list[int] = []
    for i in order:
        if waiting and (len(waiting) == BATCH or (len(waiting) + 1) * lengths_s[i] > most_s):
            yield waiting
            waiting = []
        waiting.append(i)
    if waiting:
        yield waiting


def endless(transcript: Transcript) -> bool:
    """Whether it loops, or the token cap ended it instead of the model."""
    return transcript.truncated or repeats(transcript.text)


def repeats(text: str) -> bool:
    """Whether most of a text is one thing again and again."""
    line = " ".join(text.casefold().split()) + " "
    repeated = sum(len(found[0]) for found in _REPEATED.finditer(line))
    return repeated > _FILLS * len(line)
