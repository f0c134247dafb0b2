"""A recording of any length cut at pauses into pieces the model was trained on.

The recording comes in blocks and is forgotten once it is cut: memory is about a minute of sound,
however long it lasts, and the pieces are the same however it is divided into blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from moontune.data.audio import SAMPLE_RATE_HZ
from moontune.transcribe.vad import FRAME, SpeechDetector

Detector = Callable[[], SpeechDetector]
_SMOOTH = 5  # frames around a cut within speech that shall have little voice


@dataclass(frozen=True)
class Cutting:
    """How to cut; the lengths are of speech without the padding, from `benchmarks/decoding/`."""

    longest_s: float = 29.0
    """A piece with its padding stays within the 30 s that Moonshine was trained on."""
    target_s: float = 20.0
    """Cut at the longest pause between `shortest_s` and this."""
    shortest_s: float = 4.0
    """Moonshine was trained on no shorter clips."""
    apart_s: float = 3.0
    """A pause of this length is always cut at, however short the piece."""
    pad_s: float = 0.3
    """Sound kept before and after speech."""
    pause_s: float = 0.1
    """Shorter ones are part of a word."""
    threshold: float = 0.35
    """A frame this likely to be speech begins it; it lasts until one under half of that."""
    least_s: float = 0.1
    """A piece with less speech than this is a click."""

    def __post_init__(self) -> None:
        assert self.shortest_s < self.target_s <= self.longest_s
        assert self.longest_s + 2 * self.pad_s <= 30


@dataclass(frozen=True)
class Piece:
    """A stretch of a recording that somebody speaks in."""

    start: int  # its first sample in the recording
    samples: np.ndarray  # float32 mono 16 kHz, (samples,)
    voice: np.ndarray  # probability of speech by frame, (ceil(samples / FRAME),)

    @property
    def end(self) -> int:
        return self.start + len(self.samples)

    @property
    def start_s(self) -> float:
        return self.start / SAMPLE_RATE_HZ

    @property
    def end_s(self) -> float:
        return self.end / SAMPLE_RATE_HZ

    def speech_s(self, cutting: Cutting) -> list[tuple[float, float]]:
        """When somebody speaks in it, in seconds of the recording; at least one stretch."""
        second = SAMPLE_RATE_HZ / FRAME
        found = runs(hysteresis(self.voice, cutting.threshold))
        spans = [(self.start_s + a / second, self.start_s + b / second) for a, b in found]
        return [(a, min(b, self.end_s)) for a, b in spans] or [(self.start_s, self.end_s)]

    def halves(self, cutting: Cutting) -> tuple[Piece, Piece] | None:
        """The piece cut in two where there is least voice; None where a half would be short."""
        edge = _frames(cutting.shortest_s) // 2
        if len(self.voice) < 2 * edge + 1:
            return None
        at = edge + quietest(self.voice[edge : len(self.voice) - edge])
        cut = at * FRAME
        return (
            Piece(self.start, self.samples[:cut], self.voice[:at]),
            Piece(self.start + cut, self.samples[cut:], self.voice[at:]),
        )


def pieces(
    blocks: Iterable[np.ndarray],
    cutting: Cutting | None = None,
    detector: Detector = SpeechDetector,
) -> Iterator[Piece]:
    """The pieces of a recording that comes as `blocks` of float32 mono 16 kHz, each (samples,).

    One of at most 30 s is a single piece, uncut, as evaluation hears it; what nobody speaks in
    gives none, because the model writes words for noise too.
    """
    cutting = cutting or Cutting()
    heard = _Heard(detector(), cutting.threshold)
    whole = True  # nothing was cut yet
    for block in blocks:
        heard.add(block)
        if whole and heard.seconds <= 30:
            continue
        whole = False
        yield from _cut(heard, cutting, ended=False)
    heard.end()
    if not whole:
        yield from _cut(heard, cutting, ended=True)
    elif heard.speech.sum() >= _frames(cutting.least_s):
        yield Piece(0, heard.samples, heard.voice)


def _cut(heard: _Heard, cutting: Cutting, *, ended: bool) -> Iterator[Piece]:
    """The pieces that what was heard so far decides."""
    pad = _frames(cutting.pad_s)
    while (found := runs(heard.speech)) and (
        span := _span(found, heard.voice, cutting, ended=ended)
    ):
        start, end, following = span
        # Two pieces share a pause that is shorter than both their paddings.
        first = max(0, start - pad)
        last = min(end + pad, (end + max(end, following) + 1) // 2, len(heard.voice))
        if heard.speech[first:last].sum() >= _frames(cutting.least_s):
            yield heard.piece(first, last)
        heard.forget(last)
    if not found:
        heard.forget(max(0, len(heard.voice) - pad))


def _span(
    found: list[tuple[int, int]], voice: np.ndarray, cutting: Cutting, *, ended: bool
) -> tuple[int, int, int] | None:
    """Frames of the next piece's speech, and where speech goes on; None if more must be heard."""
    longest, target, shortest, apart = map(
        _frames, (cutting.longest_s, cutting.target_s, cutting.shortest_s, cutting.apart_s)
    )
    start = found[0][0]
    if not ended and len(voice) < start + longest + apart:
        return None
    never = len(voice) + apart
    pauses = [
        (end, following)
        for (_, end), (following, _) in zip(found, [*found[1:], (never, never)], strict=True)
        if end - start <= longest and following - end >= _frames(cutting.pause_s)
    ]
    alone = next((p for p in pauses if p[1] - p[0] >= apart), None)
    if alone and alone[0] - start <= target:
        return start, *alone
    for low, high in ((shortest, target), (target, longest), (0, shortest)):
        within = [p for p in pauses if low <= p[0] - start <= high]
        if within:
            # How long a pause is that goes on is not known, only that it is apart.
            end, following = max(within, key=lambda p: min(p[1] - p[0], apart))
            return start, end, following
    low, high = start + longest // 2, start + longest
    cut = low + quietest(voice[low:high])
    return start, cut, cut


def runs(speech: np.ndarray) -> list[tuple[int, int]]:
    """First and past-the-last places of each stretch of True in (frames,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], speech, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def hysteresis(voice: np.ndarray, threshold: float, speaking: bool = False) -> np.ndarray:
    """Whether somebody speaks, by frame: from one at the threshold to one under half of it."""
    certain = (voice >= threshold) | (voice < threshold / 2)
    last = np.maximum.accumulate(np.where(certain, np.arange(len(voice)), -1))
    return np.where(last >= 0, voice[last] >= threshold, speaking)


def quietest(voice: np.ndarray) -> int:
    """The frame with the least voice around it; of like ones the one in the middle."""
    around = np.convolve(
        np.pad(voice, _SMOOTH // 2, mode="edge"), np.ones(_SMOOTH) / _SMOOTH, "valid"
    )
    least = np.flatnonzero(around <= around.min() + 0.02)
    return int(least[np.abs(least - len(voice) // 2).argmin()])


def _frames(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE_HZ / FRAME)


class _Heard:
    """What was heard and not cut yet, from a frame on."""

    def __init__(self, detector: SpeechDetector, threshold: float) -> None:
        self._detector, self._threshold = detector, threshold
        self._first = 0  # the frame of the recording it begins with
        self.samples = np.zeros(0, np.float32)
        self.voice = np.zeros(0, np.float32)
        self.speech = np.zeros(0, bool)

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE_HZ

    def add(self, block: np.ndarray) -> None:
        self.samples = np.concatenate([self.samples, block])
        self._notice(self._detector(block))

    def end(self) -> None:
        self._notice(self._detector.end())

    def _notice(self, voice: np.ndarray) -> None:
        speaking = bool(self.speech[-1:].any())
        speech = hysteresis(voice, self._threshold, speaking)
        self.voice = np.concatenate([self.voice, voice])
        self.speech = np.concatenate([self.speech, speech])

    def piece(self, first: int, last: int) -> Piece:
        samples = self.samples[first * FRAME : last * FRAME].copy()
        return Piece((self._first + first) * FRAME, samples, self.voice[first:last].copy())

    def forget(self, frames: int) -> None:
        """All before a frame. Speech that is cut at it goes on after it."""
        self._first += frames
        self.samples = self.samples[frames * FRAME :]
        self.voice, self.speech = self.voice[frames:], self.speech[frames:]
