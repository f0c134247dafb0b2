"""Audio files as a stream: blocks of float32 mono 16 kHz, however long the file. No torch here."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from moontune.data.audio import SAMPLE_RATE_HZ, decoding, header_s, mono_blocks, opened


def audio_blocks(source: Path | BinaryIO) -> Iterator[np.ndarray]:
    """Blocks of at most 10 s, each (samples,), of a file or of an open one that can seek.

    Channels are averaged and rates resampled as `read_audio` does; put end to end, the blocks are
    what it returns, to rounding. Raises AudioError if the audio cannot be used, at the block that
    cannot.
    """
    with opened(source) as file, decoding():
        resampler = _resampler(file.samplerate)
        for mono in mono_blocks(file):
            yield _contiguous(mono if resampler is None else resampler.resample_chunk(mono))
        if resampler is not None:
            rest = resampler.resample_chunk(np.zeros(0, np.float32), last=True)
            yield _contiguous(rest)


def length_s(source: Path | BinaryIO) -> float:
    """Seconds of audio as the file's head says, without decoding it; an mp3 may err a little.

    0 where the head does not know, as of a WAV that was piped out. Raises AudioError if it cannot
    be opened.
    """
    with opened(source) as file, decoding():
        return header_s(file)


@contextmanager
def held(stream: BinaryIO) -> Iterator[BinaryIO]:
    """A pipe's bytes in a file without a name, which can seek."""
    with tempfile.TemporaryFile() as file:
        shutil.copyfileobj(stream, file)
        file.seek(0)
        yield file


def _contiguous(mono: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(mono, dtype=np.float32)


def _resampler(rate_hz: int) -> Any:
    if rate_hz == SAMPLE_RATE_HZ:
        return None
    import soxr

    return soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")
