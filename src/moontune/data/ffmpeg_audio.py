"""Audio that libsndfile does not know, decoded by FFmpeg: m4a, mp4, aac, webm, amr, wma.

PyAV's wheel carries FFmpeg. Which of its demuxers reads a file is told by the file's first bytes,
and no other is tried: some, of playlists, would open what the file names.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

# Demuxers by the first bytes of a file; `ftyp` comes behind a length.
_STARTS = (
    (0, b"\x1aE\xdf\xa3", "matroska,webm"),
    (0, b"#!AMR", "amr"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (0, b"\xff\xf1", "aac"),
    (0, b"\xff\xf9", "aac"),
    (4, b"ftyp", "mov,mp4,m4a,3gp,3g2,mj2"),
)


def demuxer_of(stream: BinaryIO) -> str | None:
    """The demuxer for a file that is open at its beginning; None if it is of no kind above."""
    head = stream.read(16)
    stream.seek(0)
    return next((name for at, start, name in _STARTS if head[at:].startswith(start)), None)


class FfmpegFile:
    """An audio track, read as a `soundfile.SoundFile` is, from its beginning or after `seek`."""

    extra_info = ""

    def __init__(self, stream: BinaryIO, demuxer: str) -> None:
        """Raises ValueError if it holds no audio; OSError or ValueError as PyAV does."""
        import av

        self._container: Any = av.open(stream, mode="r", format=demuxer.split(",")[0])
        tracks = self._container.streams.audio
        if not tracks:
            self._container.close()
            raise ValueError("it holds no audio track")
        self._track = tracks[0]
        self.samplerate = int(self._track.codec_context.sample_rate or 0)
        self.channels = int(self._track.codec_context.channels or 0)
        if not self.samplerate or not self.channels:
            raise ValueError("its audio track has no rate or no channels")
        seconds = self._track.duration and float(self._track.duration * self._track.time_base)
        self.frames = round((seconds or 0.0) * self.samplerate)
        self._planar = av.AudioResampler(
            format="fltp", layout=self._track.codec_context.layout.name, rate=self.samplerate
        )
        self._decoded: Iterator[np.ndarray] = self._blocks()
        self._left = np.zeros((0, self.channels), np.float32)

    def __enter__(self) -> FfmpegFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def seek(self, frame: int) -> None:
        """Leave out the frames before: what is decoded first depends on what came before it."""
        while frame > 0 and len(block := self.read(min(frame, 2**16))):
            frame -= len(block)

    def read(self, frames: int, dtype: str = "float32", always_2d: bool = True) -> np.ndarray:
        """At most so many frames, (frames, channels) float32; none at the end."""
        parts, count = [self._left], len(self._left)
        while count < frames and (block := next(self._decoded, None)) is not None:
            parts.append(block)
            count += len(block)
        whole = np.concatenate(parts)
        self._left = whole[frames:]
        return whole[:frames]

    def _blocks(self) -> Iterator[np.ndarray]:
        for frame in self._container.decode(self._track):
            for part in self._planar.resample(frame):
                yield np.ascontiguousarray(part.to_ndarray().T, dtype=np.float32)
