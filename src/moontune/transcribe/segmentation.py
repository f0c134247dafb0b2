"""A recording of any length cut at pauses into segments the model was trained on.

The recording comes in blocks and is forgotten once it is cut: memory is about a minute of sound,
however long it lasts, and the segments are the same however it is divided into blocks.
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
class SegmentationConfig:
    """How to cut; the lengths are of speech without the padding, from `benchmarks/decoding/`."""

    longest_s: float = 29.0
    """A segment with its padding stays within the 30 s that Moonshine was trained on."""
    target_s: float = 20.0
    """Cut at the longest pause between `shortest_s` and this."""
    shortest_s: float = 4.0
    """Moonshine was trained on no shorter clips."""
    always_cut_s: float = 3.0
    """A pause of this length is always cut at, however short the segment."""
    pad_s: float = 0.3
    """Sound kept before and after speech."""
    pause_s: float = 0.1
    """Shorter ones are part of a word."""
    threshold: float = 0.35
    """A frame this likely to be speech begins it; it lasts until one under half of that."""
    least_s: float = 0.1
    """A segment with less speech than this is a click."""

    def __post_init__(self) -> None:
        assert self.shortest_s < self.target_s <= self.longest_s
        assert self.longest_s + 2 * self.pad_s <= 30


@dataclass(frozen=True)
class Segment:
    """A part of a recording that somebody speaks in."""

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

    def speech_s(self, config: SegmentationConfig) -> list[tuple[float, float]]:
        """When somebody speaks in it, in seconds of the recording; at least one span."""
        second = SAMPLE_RATE_HZ / FRAME
        spans = [
            (self.start_s + first / second, self.start_s + last / second)
            for first, last in runs(hysteresis(self.voice, config.threshold))
        ]
        return [(start, min(end, self.end_s)) for start, end in spans] or [
            (self.start_s, self.end_s)
        ]

    def halves(self, config: SegmentationConfig) -> tuple[Segment, Segment] | None:
        """The segment cut in two where there is least voice; None where a half would be short."""
        edge = _frames(config.shortest_s) // 2
        if len(self.voice) < 2 * edge + 1:
            return None
        at = edge + quietest(self.voice[edge : len(self.voice) - edge])
        cut = at * FRAME
        return (
            Segment(self.start, self.samples[:cut], self.voice[:at]),
            Segment(self.start + cut, self.samples[cut:], self.voice[at:]),
        )


def segments(
    blocks: Iterable[np.ndarray],
    config: SegmentationConfig | None = None,
    detector: Detector = SpeechDetector,
) -> Iterator[Segment]:
    """The segments of a recording that comes as `blocks` of float32 mono 16 kHz, each (samples,).

    One of at most 30 s is a single segment, uncut, as evaluation transcribes it; one without speech
    gives none, because the model writes words for noise too.
    """
    config = config or SegmentationConfig()
    buffer = _Buffer(detector(), config.threshold)
    whole = True  # nothing was cut yet
    for block in blocks:
        buffer.add(block)
        if whole and buffer.seconds <= 30:
            continue
        whole = False
        yield from _cut(buffer, config, ended=False)
    buffer.end()
    if not whole:
        yield from _cut(buffer, config, ended=True)
    elif buffer.speech.sum() >= _frames(config.least_s):
        yield Segment(0, buffer.samples, buffer.voice)


def _cut(buffer: _Buffer, config: SegmentationConfig, *, ended: bool) -> Iterator[Segment]:
    """The segments that the audio so far decides."""
    pad = _frames(config.pad_s)
    while (speech := runs(buffer.speech)) and (
        span := _span(speech, buffer.voice, config, ended=ended)
    ):
        start, end, following = span
        # Two segments share a pause that is shorter than both their paddings.
        first = max(0, start - pad)
        last = min(end + pad, (end + max(end, following) + 1) // 2, len(buffer.voice))
        if buffer.speech[first:last].sum() >= _frames(config.least_s):
            yield buffer.segment(first, last)
        buffer.forget(last)
    if not speech:
        buffer.forget(max(0, len(buffer.voice) - pad))


def _span(
    speech: list[tuple[int, int]], voice: np.ndarray, config: SegmentationConfig, *, ended: bool
) -> tuple[int, int, int] | None:
    """Frames of the next segment's speech, and where speech goes on; None before enough audio."""
    longest, target, shortest, always = map(
        _frames, (config.longest_s, config.target_s, config.shortest_s, config.always_cut_s)
    )
    start = speech[0][0]
    if not ended and len(voice) < start + longest + always:
        return None
    never = len(voice) + always
    pauses = [
        (end, following)
        for (_, end), (following, _) in zip(speech, [*speech[1:], (never, never)], strict=True)
        if end - start <= longest and following - end >= _frames(config.pause_s)
    ]
    first = next((p for p in pauses if p[1] - p[0] >= always), None)
    if first and first[0] - start <= target:
        return start, *first
    for low, high in ((shortest, target), (target, longest), (0, shortest)):
        within = [p for p in pauses if low <= p[0] - start <= high]
        if within:
            # How long a pause is that goes on is not known, only that it is always cut at.
            end, following = max(within, key=lambda p: min(p[1] - p[0], always))
            return start, end, following
    low, high = start + longest // 2, start + longest
    cut = low + quietest(voice[low:high])
    return start, cut, cut


def runs(speech: np.ndarray) -> list[tuple[int, int]]:
    """First and past-the-last places of each run of True in (frames,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], speech, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def hysteresis(voice: np.ndarray, threshold: float, speaking: bool = False) -> np.ndarray:
    """Speech by frame, (frames,) of bool: from one at the threshold to one under half of it."""
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


class _Buffer:
    """Audio that is not cut yet, from a frame of the recording on."""

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
        self._append(self._detector(block))

    def end(self) -> None:
        self._append(self._detector.end())

    def _append(self, voice: np.ndarray) -> None:
        speaking = bool(self.speech[-1:].any())
        speech = hysteresis(voice, self._threshold, speaking)
        self.voice = np.concatenate([self.voice, voice])
        self.speech = np.concatenate([self.speech, speech])

    def segment(self, first: int, last: int) -> Segment:
        samples = self.samples[first * FRAME : last * FRAME].copy()
        return Segment((self._first + first) * FRAME, samples, self.voice[first:last].copy())

    def forget(self, frames: int) -> None:
        """All before a frame. Speech that is cut at it goes on after it."""
        self._first += frames
        self.samples = self.samples[frames * FRAME :]
        self.voice, self.speech = self.voice[frames:], self.speech[frames:]
