"""Samples to timed text: cut at pauses, transcribed in batches, loops cut again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from moontune.config.schema import TokenCap
from moontune.data.audio import SAMPLE_RATE_HZ, long_enough
from moontune.models.decoding import TimedWord, Transcribe, length_batches
from moontune.transcribe.segmentation import Segment, SegmentationConfig, segments
from moontune.transcribe.word_times import times_in_recording


@dataclass(frozen=True)
class SegmentTranscript:
    """The transcript of a segment."""

    segment: Segment
    text: str
    tokens: int  # EOS included
    truncated: bool  # the token cap ended it
    again: bool = False  # half of a segment that looped
    words: tuple[TimedWord, ...] | None = None  # in seconds of the recording
    # Chance that each written word of the text is right; None where no consensus was asked for.
    confidences: tuple[float, ...] | None = None


def transcribe_long(
    samples: np.ndarray,
    transcribe: Transcribe,
    cap: TokenCap,
    config: SegmentationConfig | None = None,
) -> list[SegmentTranscript]:
    """Transcripts of a recording of float32 mono 16 kHz samples, (samples,), in order."""
    config = config or SegmentationConfig()
    parts = list(segments([samples], config))
    transcripts: list[list[SegmentTranscript]] = [[] for _ in parts]
    for batch in transcribe_segments(parts, transcribe, cap, config):
        for i, rows in batch.items():
            transcripts[i] = rows
    return [row for rows in transcripts for row in rows]


def transcribe_segments(
    parts: Sequence[Segment], transcribe: Transcribe, cap: TokenCap, config: SegmentationConfig
) -> Iterator[dict[int, list[SegmentTranscript]]]:
    """Transcripts by the segment's place in `parts`, a batch of segments of like length at a time.

    A transcript that the cap ended in a loop is thrown away and its segment transcribed again as
    two, cut where there is least voice: other sound around the words most often ends the loop.
    """
    for indices in length_batches([len(part.samples) / SAMPLE_RATE_HZ for part in parts]):
        rows = _transcribe([parts[i] for i in indices], transcribe, cap, config)
        yield dict(zip(indices, rows, strict=True))


def _transcribe(
    parts: list[Segment],
    transcribe: Transcribe,
    cap: TokenCap,
    config: SegmentationConfig,
    again: bool = False,
) -> list[list[SegmentTranscript]]:
    """The transcripts of each segment: one, or those of its halves."""
    rows = []
    outputs = transcribe([long_enough(part.samples) for part in parts], cap)
    for part, out in zip(parts, outputs, strict=True):
        halves = part.halves(config) if out.truncated and loops(out.tokens) else None
        if halves is None:
            tokens = len(out.tokens)
            words = times_in_recording(out.words, part, config)
            row = SegmentTranscript(part, out.text, tokens, out.truncated, again, words)
            rows.append([replace(row, confidences=out.confidences)])
        else:
            of_halves = _transcribe(list(halves), transcribe, cap, config, again=True)
            rows.append([row for of_half in of_halves for row in of_half])
    return rows


def loops(tokens: Sequence[int]) -> bool:
    """True where a transcript ends in a loop: its last 12 tokens or more repeat, at least twice
    what came before."""
    ids = np.asarray(tokens)
    for period in range(1, len(ids) // 3 + 1):
        same = ids[period:] == ids[:-period]
        # Places from the end that repeat what stands a period before.
        repeated = len(same) if same.all() else int(np.argmin(same[::-1]))
        if repeated >= max(2 * period, 12 - period):
            return True
    return False
