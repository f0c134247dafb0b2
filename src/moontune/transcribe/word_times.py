"""When each word of a segment is spoken: the model's own times, kept within speech."""

from __future__ import annotations

from collections.abc import Sequence

from moontune.models.decoding import TimedWord
from moontune.transcribe.segmentation import Segment, SegmentationConfig

_GAP_S = 0.2  # a shorter one between two spans of speech is part of a word


def times_in_recording(
    words: Sequence[TimedWord] | None, segment: Segment, config: SegmentationConfig
) -> tuple[TimedWord, ...] | None:
    """Words of a segment with seconds of the recording; None where the model gives none.

    The model says where a word begins. It lasts until the next one, but for pauses: of the
    stretches of speech in that time it is in the one with the largest part.
    """
    if words is None:
        return None
    spans = _joined(segment.speech_s(config))
    placed: list[TimedWord] = []
    for word in words:
        start = min(segment.start_s + word.start_s, segment.end_s)
        end = max(start, min(segment.start_s + word.end_s, segment.end_s))
        parts = [(max(start, a), min(end, b)) for a, b in spans]
        first, last = max(parts, key=lambda part: part[1] - part[0])
        edges = (first, last) if last > first else (start, end)
        placed.append(TimedWord(word.text, *edges, word.confidence))
    return tuple(placed)


def _joined(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    joined = [spans[0]]
    for start, end in spans[1:]:
        if start - joined[-1][1] < _GAP_S:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined
