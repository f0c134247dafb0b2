"""Samples to timed text: cut at pauses, transcribed in batches, loops cut again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from moontune.config.schema import TokenCap
from moontune.data.audio import SAMPLE_RATE_HZ, SHORTEST_SAMPLES
from moontune.models.decoding import Transcript, batches
from moontune.transcribe.segmentation import Cutting, Piece, pieces

Transcribe = Callable[[Sequence[np.ndarray], TokenCap], list[Transcript]]


@dataclass(frozen=True)
class Said:
    """What was said in a piece of a recording."""

    piece: Piece
    text: str
    tokens: int  # EOS included
    truncated: bool  # the token cap ended it
    again: bool = False  # half of a piece that looped


def listen(
    samples: np.ndarray, transcribe: Transcribe, cap: TokenCap, cutting: Cutting | None = None
) -> list[Said]:
    """What is said in a recording of float32 mono 16 kHz samples, (samples,), in order."""
    cutting = cutting or Cutting()
    found = list(pieces([samples], cutting))
    said: list[list[Said]] = [[] for _ in found]
    for done in transcribe_pieces(found, transcribe, cap, cutting):
        for i, rows in done.items():
            said[i] = rows
    return [row for rows in said for row in rows]


def transcribe_pieces(
    found: Sequence[Piece], transcribe: Transcribe, cap: TokenCap, cutting: Cutting
) -> Iterator[dict[int, list[Said]]]:
    """What was said, by the piece's place in `found`, a batch of pieces of like length at a time.

    A transcript that the cap ended in a loop is thrown away and its piece heard again as two, cut
    where there is least voice: other sound around the words most often ends the loop.
    """
    for together in batches([len(p.samples) / SAMPLE_RATE_HZ for p in found]):
        yield dict(
            zip(
                together, _hear([found[i] for i in together], transcribe, cap, cutting), strict=True
            )
        )


def _hear(
    found: list[Piece], transcribe: Transcribe, cap: TokenCap, cutting: Cutting, again: bool = False
) -> list[list[Said]]:
    said = []
    for piece, out in zip(found, transcribe([_long_enough(p) for p in found], cap), strict=True):
        halves = piece.halves(cutting) if out.truncated and loops(out.tokens) else None
        if halves is None:
            said.append([Said(piece, out.text, len(out.tokens), out.truncated, again)])
        else:
            parts = _hear(list(halves), transcribe, cap, cutting, again=True)
            said.append([row for part in parts for row in part])
    return said


def _long_enough(piece: Piece) -> np.ndarray:
    short = SHORTEST_SAMPLES - len(piece.samples)
    return np.pad(piece.samples, (0, short)) if short > 0 else piece.samples


def loops(tokens: Sequence[int]) -> bool:
    """Whether the end of a transcript says the same again and again: 12 tokens or more, the last
    of them at least twice what came before."""
    ids = np.asarray(tokens)
    for period in range(1, len(ids) // 3 + 1):
        same = ids[period:] == ids[:-period]
        # Places from the end that repeat what stands a period before.
        repeated = len(same) if same.all() else int(np.argmin(same[::-1]))
        if repeated >= max(2 * period, 12 - period):
            return True
    return False
