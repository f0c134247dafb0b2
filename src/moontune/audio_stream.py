"""Audio files as a stream: blocks of float32 mono 16 kHz, however long the file. No torch here."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from moontune.audio import SAMPLE_RATE_HZ, AudioError, decoding

_BLOCK_S = 10.0


def audio_blocks(source: Path | BinaryIO) -> Iterator[np.ndarray]:
    """Blocks of about 10 s, each (samples,), of a file or of an open one that can seek.

    Channels are averaged and rates resampled as `read_audio` does; put end to end, the blocks are
    what it returns, to rounding. Raises AudioError if the audio cannot be used, at the block that
    cannot.
    """
    with _opened(source) as file, decoding():
        # A file that can seek is made to after each block, which breaks an mp3's sound there.
        file.seekable = lambda: False
        resampler = _resampler(file.samplerate)
        frames, empty = int(_BLOCK_S * file.samplerate), True
        while True:
            block = file.read(frames, dtype="float32", always_2d=True)
            if not len(block):
                break
            empty = False
            mono = block.mean(axis=1) if block.shape[1] > 1 else block[:, 0]
            if not np.isfinite(mono).all():
                raise AudioError("holds NaN or infinite samples")
            yield _contiguous(mono if resampler is None else resampler.resample_chunk(mono))
        if empty:
            raise AudioError("holds no samples")
        if resampler is not None:
            rest = resampler.resample_chunk(np.zeros(0, np.float32), last=True)
            yield _contiguous(rest)


def length_s(source: Path | BinaryIO) -> float:
    """Seconds of audio as the file's head says, without decoding it; an mp3 may err a little.

    Raises AudioError if it cannot be opened.
    """
    with _opened(source) as file, decoding():
        # A WAV that was piped out does not know its length.
        return file.frames / file.samplerate if file.frames < 2**40 else 0.0


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


@contextmanager
def _opened(source: Path | BinaryIO) -> Iterator[Any]:
    import soundfile

    with contextlib.ExitStack() as stack:
        with decoding():
            if isinstance(source, Path):
                stream = stack.enter_context(open(source, "rb"))
            else:
                stream = source
                stream.seek(0)
            file = stack.enter_context(soundfile.SoundFile(stream))  # type: ignore[arg-type]
        yield file
