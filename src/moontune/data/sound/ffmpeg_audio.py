"""Audio that libsndfile does not know, decoded by FFmpeg: m4a, mp4, aac, webm, amr, wma, and mp3s
whose length nothing tells.

PyAV's wheel carries FFmpeg. Which of its demuxers reads a file is told by the file's first bytes,
and no other is tried: some, of playlists, would open what the file names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from moontune.data.sound.file_kinds import PROTECTED, tag_bytes

_AMR, _AMR_HZ = "amr", 50  # a demuxer, and frames a second
# Demuxers by the first bytes of a file; `ftyp` comes behind a length.
_STARTS = (
    (0, b"\x1aE\xdf\xa3", "matroska,webm"),
    (0, b"#!AMR", _AMR),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (0, b"\xff\xf1", "aac"),
    (0, b"\xff\xf9", "aac"),
    (4, b"ftyp", "mov,mp4,m4a,3gp,3g2,mj2"),
    *(
        (4, atom, "mov") for atom in (b"moov", b"mdat", b"wide", b"free")
    ),  # QuickTime before there was ftyp
)
MP3 = "mp3"  # a demuxer; it reads on behind the end of the first of several
WAV = "wav"  # another; it reads one to its end that claims to hold nothing
_PROTECTED = ("drms", "enca")  # codecs of Apple's and of common encryption
# Types of AMR's frames that stand for a pause, which FFmpeg's decoders refuse, and samples each.
_PAUSES = {"amr_nb": (frozenset((8, 9, 10, 11, 15)), 160), "amr_wb": (frozenset((9, 14, 15)), 320)}
_FEW_LOST, _MOST_LOST = 8, 0.02  # frames of an mp3 that may be damaged: 0.2 s, or a share
_CUT_OFF = 0.9  # of what the head claims


class NoSoundError(ValueError):
    """The file is whole, and there is nothing in it to decode; the text says why."""


def demuxer_of(head: bytes) -> str | None:
    """The demuxer for a file that begins so; None if it is of no kind above."""
    return next((name for at, start, name in _STARTS if head[at:].startswith(start)), None)


class FfmpegFile:
    """An audio track, read as a `soundfile.SoundFile` is, from its beginning or after `seek`."""

    def __init__(self, stream: BinaryIO, demuxer: str) -> None:
        """Raises NoSoundError if it holds no audio, else ValueError where it cannot be read."""
        import av

        with _errors_as_value_error():
            self._container: Any = av.open(stream, mode="r", format=demuxer.split(",")[0])
        tracks = self._container.streams.audio
        if not tracks:
            self._container.close()
            raise NoSoundError("it is a video without a sound track; give the file with the sound")
        self._track = tracks[0]
        if self._track.codec_context is None:  # as of a file whose end is missing
            raise ValueError("its sound is of no codec that FFmpeg knows")
        if str(self._track.codec_context.codec_tag) in _PROTECTED:
            self._container.close()
            raise NoSoundError(PROTECTED)
        self.samplerate = int(self._track.codec_context.sample_rate or 0)
        self.channels = int(self._track.codec_context.channels or 0)
        if not self.samplerate or not self.channels:
            raise ValueError("its audio track has no rate or no channels")
        seconds = self._track.duration and float(self._track.duration * self._track.time_base)
        self.frames = round((seconds or 0.0) * self.samplerate)
        if demuxer == MP3:
            self.frames = 0  # no more than a guess
        elif demuxer == _AMR:  # by its size, which its pauses hardly add to
            self.frames = self._packets_in(stream) * self.samplerate // _AMR_HZ
        self._claimed, self._heard = self.frames, 0
        if not self._claimed and not self._container.streams.video and demuxer != MP3:
            self._claimed = round((self._container.duration or 0) / 1e6 * self.samplerate)
        self._layout = self._track.codec_context.layout.name
        self._kind: tuple[str, str, int] | None = None  # of the frames now
        self._planar = self._resampler()
        self._is_mp3 = demuxer == MP3
        self._codec = self._track.codec_context.codec.canonical_name
        self._decoded: Iterator[np.ndarray] = self._blocks()
        self._left = np.zeros((0, self.channels), np.float32)

    def __enter__(self) -> FfmpegFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def _packets_in(self, stream: BinaryIO) -> int:
        """How many there are, each a frame; the container is opened again."""
        import av

        with _errors_as_value_error():
            count = sum(packet.size > 0 for packet in self._container.demux(self._track))
            self._container.close()
            stream.seek(0)
            self._container = av.open(stream, mode="r", format=_AMR)
        self._track = self._container.streams.audio[0]
        return count

    @property
    def extra_info(self) -> str:
        """At its end, what libsndfile remarks on a file that ends before its head says."""
        if self._heard >= _CUT_OFF * self._claimed:
            return ""
        return f"data : {self._claimed} (should be {self._heard})"

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
        with _errors_as_value_error():
            packets = lost = 0
            for packet in self._packets():
                packets += 1
                if pause := self._pause_of(packet):
                    yield from self._resampled(None)
                    self._kind, self._heard = None, self._heard + pause
                    yield np.zeros((pause, self.channels), np.float32)
                    continue
                frames = self._frames_of(packet)
                lost += frames is None
                for frame in frames or ():
                    yield from self._floats(frame)
            yield from self._resampled(None)
        if lost > max(_FEW_LOST, _MOST_LOST * packets):
            raise ValueError(f"{lost} of {packets} frames are damaged")

    def _pause_of(self, packet: Any) -> int:
        """Samples of silence that a packet stands for: phones send nothing while nobody speaks."""
        types, samples = _PAUSES.get(self._codec, (frozenset[int](), 0))
        return samples if packet.size and bytes(packet)[0] >> 3 & 15 in types else 0

    def _frames_of(self, packet: Any) -> Sequence[Any] | None:
        """None for the damaged frame of an mp3, which players leave out, as where a stream that was
        recorded had lost something."""
        from av.error import InvalidDataError

        try:
            return packet.decode()
        except InvalidDataError:
            if not self._is_mp3:
                raise
            return None

    def _packets(self) -> Iterator[Any]:
        """All but tags and the pictures in them, which stand between joined mp3s."""
        end = tag_ends = 0
        for packet in self._container.demux(self._track):
            if self._is_mp3 and packet.pos is not None:
                data, size = bytes(packet), 0
                while more := tag_bytes(data[size:]):
                    size += more
                    tag_ends = packet.pos + size
                end = packet.pos + len(data)
                if packet.pos < tag_ends:
                    continue
            yield packet
        if tag_ends > end:
            raise ValueError("a tag claims more than there is")

    def _floats(self, frame: Any) -> Iterator[np.ndarray]:
        """At the rate and with the channels of the first; of joined files each may have its own."""
        kind = (frame.format.name, frame.layout.name, frame.sample_rate)
        if kind != self._kind:
            yield from self._resampled(None)
            self._kind, self._planar = kind, self._resampler()
        yield from self._resampled(frame)

    def _resampler(self) -> Any:
        import av

        return av.AudioResampler(format="fltp", layout=self._layout, rate=self.samplerate)

    def _resampled(self, frame: Any) -> Iterator[np.ndarray]:
        """Of a frame, or the rest where it is None."""
        for part in filter(None, self._planar.resample(frame)):
            block = np.ascontiguousarray(part.to_ndarray().T, dtype=np.float32)
            self._heard += len(block)
            yield block


@contextmanager
def _errors_as_value_error() -> Iterator[None]:
    """FFmpeg's errors without the file's name; they are of many kinds."""
    from av.error import FFmpegError

    try:
        yield
    except (FFmpegError, EOFError, MemoryError) as error:
        raise ValueError(getattr(error, "strerror", None) or "FFmpeg cannot read it") from None
