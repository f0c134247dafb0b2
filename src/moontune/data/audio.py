"""Audio files, bytes or streams to the form the model takes: float32, mono, 16 kHz, (samples,)."""

from __future__ import annotations

import io
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from moontune.data.sound.ffmpeg_audio import MP3, WAV, FfmpegFile, NoSoundError, demuxer_of
from moontune.data.sound.file_kinds import (
    CONVERT,
    DAMAGED,
    HEAD_BYTES,
    OGG_PAGE,
    TAG_HEAD_BYTES,
    holds_mp3_frames,
    is_mp3_frame,
    is_unclosed_wav,
    mp3_count,
    ogg_is_cut,
    tag_bytes,
    why_undecodable,
)
from moontune.data.sound.stereo import Hear, mono_of
from moontune.errors import UserError
from moontune.system.files import write_bytes
from moontune.system.formatting import counted

SAMPLE_RATE_HZ = 16_000
# The convolutions (127/64, 7/3, 3/2, no padding) need this many samples for one frame.
SHORTEST_SAMPLES = 895

# A header may claim anything: nothing is allocated by what it says, and no rate outside of these
# is resampled.
_BLOCK_S = 10.0
_BLOCK_VALUES = 2**20
_RATES_HZ = (1_000, 768_000)
_LONGEST_S = 3600.0
# Full scale is 1; float files go a little beyond. What is far beyond is written in other units.
_LOUDEST = 100.0
# How libsndfile remarks, in its log, that a file ends before its header says.
_CUT_OFF = re.compile(r"^\s*(?:data|SSND) : (\d+) \(should be (\d+)\)", re.MULTILINE)
_PIPED_BYTES = 2**31 - 2**16  # a WAV that was piped out claims about that or twice that
_SMALL_LOSS = 0.01
_REST_BYTES = 2**16  # of an mp3, looked at behind where its decoder ends


_EARLY_S = 0.1  # a part may be told to end so much behind the file's end


@dataclass(frozen=True)
class AudioPart:
    """A stretch of a file, or one of its channels."""

    path: Path
    offset: float = 0.0  # seconds
    seconds: float | None = None  # None: to the file's end
    channel: int | None = None  # from 0; None: the average of all

    def __str__(self) -> str:
        end = "" if self.seconds is None else f"{self.offset + self.seconds:g}"
        channel = "" if self.channel is None else f", channel {self.channel}"
        return f"{self.path} ({self.offset:g}-{end} s{channel})"


class AudioError(ValueError):
    """The audio cannot be used; the text says why, without the path."""


class TooLongError(AudioError):
    """There is more of it than was asked for."""


def read_audio(
    source: Path | bytes | AudioPart, longest_s: float = _LONGEST_S, hear: Hear | None = None
) -> np.ndarray:
    """Decode a file, a part of it or its bytes; returns float32 mono at 16 kHz, shape (samples,).

    Channels are averaged (`stereo.mono_of`); other rates are resampled with soxr at its high
    quality. `hear` gets every block as it was decoded, (frames, channels), and its rate. Raises
    AudioError if it is missing, empty, not decodable, cut off, or holds samples that are NaN,
    infinite or far beyond full scale; TooLongError, when that much was decoded, if it is longer
    than `longest_s`.
    """
    part = source if isinstance(source, AudioPart) else None
    whole = source.path if isinstance(source, AudioPart) else source
    with open_audio(whole) as file, errors_as_audio_error():
        rate, blocks, frames = file.samplerate, [], 0
        for block in _blocks_of(file, part or AudioPart(Path()), hear):
            blocks.append(block)
            frames += len(block)
            if frames > longest_s * rate:
                told = _duration_in_header(file)
                found = f"{told:.1f} s" if told > longest_s else "more"
                raise TooLongError(f"{found}, at most {longest_s:g} s")
        mono = np.concatenate(blocks)
        if rate != SAMPLE_RATE_HZ:
            import soxr

            mono = soxr.resample(mono, rate, SAMPLE_RATE_HZ)
    if mono.size == 0:
        raise AudioError("holds no samples")
    return np.ascontiguousarray(mono, dtype=np.float32)


def audio_blocks(
    source: Path | BinaryIO, channel: int | None = None, hear: Hear | None = None
) -> Iterator[np.ndarray]:
    """Blocks of at most 10 s, each (samples,), of a file or of an open one that can seek.

    Channels are averaged, or one of them (from 0) is taken, rates resampled, and `hear` called as
    `read_audio` does; put end to end, the blocks are what it returns, to rounding. Raises
    AudioError if the audio cannot be used, at the block that cannot.
    """
    with open_audio(source) as file, errors_as_audio_error():
        resampler = _resampler(file.samplerate)
        for mono in _mono_blocks(file, channel=channel, hear=hear):
            yield _contiguous(mono if resampler is None else resampler.resample_chunk(mono))
        if resampler is not None:
            rest = resampler.resample_chunk(np.zeros(0, np.float32), last=True)
            yield _contiguous(rest)


def header_duration_s(source: Path | BinaryIO) -> float:
    """Seconds of audio as the file's head says, without decoding it; an mp3 may err a little.

    0 where the head does not know, as of a WAV that was piped out. Raises AudioError if it cannot
    be opened.
    """
    with open_audio(source) as file, errors_as_audio_error():
        return _duration_in_header(file)


def is_read_from_its_beginning(path: Path) -> bool:
    """Whether FFmpeg decodes the file, for whose every part all before it is decoded."""
    try:
        with open(path, "rb", buffering=0) as file:
            return _kind_of(file)[2] is not None
    except OSError:  # told when it is read
        return False


@contextmanager
def seekable_copy(stream: BinaryIO) -> Iterator[BinaryIO]:
    """A pipe's bytes in a file without a name, which can seek."""
    with tempfile.TemporaryFile() as file:
        shutil.copyfileobj(stream, file)
        file.seek(0)
        yield file


@contextmanager
def open_audio(source: Path | bytes | BinaryIO) -> Iterator[Any]:
    """The `soundfile.SoundFile`, or its like, of a file, of its bytes or an open one that can seek.

    It is to be read from its beginning to its end. Raises AudioError.
    """
    import soundfile

    with ExitStack() as stack:
        with errors_as_audio_error():
            if isinstance(source, Path):
                if source.exists() and not (source.is_file() or source.is_dir()):
                    raise AudioError("is a pipe or a device, not an audio file")  # it may not end
                stream: Any = stack.enter_context(open(source, "rb", buffering=0))
            else:
                stream = io.BytesIO(source) if isinstance(source, bytes) else source
            head, behind_tags, demuxer = _kind_of(stream)
            file: Any
            with _undecodable(head):
                if not head:
                    raise ValueError("it is empty")
                if demuxer is not None:
                    behind_tags = b""
                    file = stack.enter_context(FfmpegFile(stream, demuxer))
                else:
                    what: Any = stream.fileno() if isinstance(source, Path) else _Stream(stream)
                    file = stack.enter_context(soundfile.SoundFile(what, closefd=False))
            if not _RATES_HZ[0] <= file.samplerate <= _RATES_HZ[1]:
                raise AudioError(f"claims a rate of {file.samplerate} Hz, which is no sound's")
        # A file that can seek is made to after each block, which breaks an mp3's sound there.
        file.seekable = lambda: False
        is_mp3 = is_mp3_frame(behind_tags)
        file.frames_told = file.frames if is_mp3 else 0
        file.goes_on = lambda: is_mp3 and holds_mp3_frames(behind_tags, stream.read(_REST_BYTES))
        file.is_cut = lambda: head.startswith(b"OggS") and ogg_is_cut(_tail(stream))
        yield file


def _tail(stream: Any) -> bytes:
    """What an ogg ends with."""
    stream.seek(max(0, stream.seek(0, io.SEEK_END) - OGG_PAGE))
    return stream.read()


def _kind_of(stream: Any) -> tuple[bytes, bytes, str | None]:
    """What a file begins with, and its sound behind tags; FFmpeg's demuxer for it, if it has to
    decode it. The stream stands at its beginning then."""
    stream.seek(0)
    head = stream.read(HEAD_BYTES)
    sound, behind_tags = _behind_tags(stream, 0, HEAD_BYTES)
    demuxer = demuxer_of(head) or (demuxer_of(behind_tags) if sound else None)
    if demuxer is None and is_mp3_frame(behind_tags) and _goes_on(stream, sound, behind_tags):
        demuxer = MP3
    if demuxer is None and is_unclosed_wav(head, stream.seek(0, io.SEEK_END)):
        demuxer = WAV
    stream.seek(0)
    return head, behind_tags, demuxer


def _goes_on(stream: Any, sound: int, first_frame: bytes) -> bool:
    """Whether an mp3, whose `first_frame` is at the place `sound`, tells no length or has more
    sound behind it: the other decoder ends at its guess, or at the first one's end."""
    count = mp3_count(first_frame)
    if count is None or not count[1]:
        return count is None
    stream.seek(sound + count[1])
    rest = stream.read(_REST_BYTES)
    _, behind = _behind_tags(stream, sound + count[1], _REST_BYTES)
    return is_mp3_frame(behind) or any(holds_mp3_frames(first_frame, b) for b in (rest, behind))


def _behind_tags(stream: Any, place: int, most: int) -> tuple[int, bytes]:
    """The place behind the tags that stand from `place` on, and the first bytes there."""
    stream.seek(place)
    while size := tag_bytes(stream.read(TAG_HEAD_BYTES)):
        place += size
        stream.seek(place)
    stream.seek(place)
    return place, stream.read(most)


class _Stream:
    """Reader that libsndfile calls. An exception in there would be printed, not raised."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream: Any = stream
        self.read, self.readinto, self.tell = stream.read, self._stream.readinto, stream.tell

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> None:
        with suppress(ValueError, OSError):  # a broken file sends it before its beginning
            self._stream.seek(offset, whence)


def _blocks_of(file: Any, part: AudioPart, hear: Hear | None) -> Iterator[np.ndarray]:
    """A part of an opened file, as `_mono_blocks` gives all of it."""
    there = _duration_in_header(file)
    if part.offset and there and part.offset >= there:
        raise AudioError(f"lasts {there:.2f} s, and the offset is {part.offset:g} s")
    start = round(part.offset * file.samplerate)
    if start:
        file.seek(start)
    most = None if part.seconds is None else round(part.seconds * file.samplerate)
    read = 0
    for block in _mono_blocks(file, most, part.channel, hear, start):
        read += len(block)
        yield block
    if most is not None and read < most - _EARLY_S * file.samplerate:
        raise AudioError(
            f"ends {(most - read) / file.samplerate:.2f} s before the row's offset and duration"
        )


def _mono_blocks(
    file: Any,
    most: int | None = None,
    channel: int | None = None,
    hear: Hear | None = None,
    start: int = 0,
) -> Iterator[np.ndarray]:
    """An opened file's sound from the frame `start`, at which it stands, at its own rate, channels
    averaged or one of them, at most so many frames, each block (samples,) float32. `hear` gets the
    blocks with their channels.

    Raises AudioError where it cannot be used, at the block that cannot; a file that is cut off, or
    holds more than is decoded, at its end.
    """
    frames = max(1, min(int(_BLOCK_S * file.samplerate), _BLOCK_VALUES // file.channels))
    if channel is not None and channel >= file.channels:
        has = counted(file.channels, "channel")
        which = f"channel {channel} (from 0) is asked; name none for all of its sound"
        raise AudioError(f"has {has}, and {which}")
    read, left = 0, most
    while left != 0:
        wanted = frames if left is None else min(frames, left)
        if file.frames > start + read:  # what lies behind would be decoded and lost
            wanted = min(wanted, file.frames - start - read)
        block = file.read(wanted, dtype="float32", always_2d=True)
        if not len(block):
            break
        read += len(block)
        left = None if left is None else left - len(block)
        peak = float(np.abs(block).max())
        if not np.isfinite(peak):
            raise AudioError("holds NaN or infinite samples")
        if peak > _LOUDEST:
            raise AudioError(f"holds samples up to {peak:.3g}, where 1 is full scale; rescale it")
        if hear is not None:
            hear(block, file.samplerate)
        yield mono_of(block) if channel is None else block[:, channel]
    if not read and not start and file.is_cut():
        raise AudioError("is cut off: it ends before any sound")
    if not read:
        raise AudioError("ends before the row's offset" if start else "holds no samples")
    if left == 0:
        return  # its end was not looked at
    _check_end(file, start + read, to_the_end=most is None)


def _check_end(file: Any, end: int, *, to_the_end: bool) -> None:
    """Raises AudioError where a file that has no more after the frame `end` is cut off, or has more
    that is not decoded."""
    told = [(int(whole), int(part)) for whole, part in _CUT_OFF.findall(file.extra_info)]
    if to_the_end and end < file.frames_told - _EARLY_S * file.samplerate:
        told.append((file.frames_told, end))
    for whole, part in told:
        if whole < _PIPED_BYTES and part < (1 - _SMALL_LOSS) * whole:
            raise AudioError(f"is cut off: {100 * part / whole:.0f} % of what its header tells")
    if to_the_end and file.is_cut():
        raise AudioError(f"is cut off: {end / file.samplerate:.1f} s are there")
    if file.goes_on():
        raise AudioError(
            f"holds more than the {end / file.samplerate:.1f} s that are decoded of it, "
            f"as an mp3 that is joined of several or does not tell its length; {CONVERT}"
        )


def _duration_in_header(file: Any) -> float:
    """Seconds of an opened file as its header says; 0 where it says nothing sensible."""
    return file.frames / file.samplerate if 0 < file.frames < 2**40 else 0.0


@contextmanager
def _undecodable(head: bytes) -> Iterator[None]:
    """Turn what is raised as a file with this head is opened into an AudioError that says what it
    is, and what to do."""
    import soundfile

    try:
        yield
    except NoSoundError as error:
        raise AudioError(f"cannot be decoded: {error}") from None
    except (soundfile.LibsndfileError, RuntimeError, TypeError, ValueError) as error:
        raise AudioError(why_undecodable(head, _detail(error))) from None


@contextmanager
def errors_as_audio_error() -> Iterator[None]:
    """Turn what the system and a decoder raise within the block into an AudioError."""
    import soundfile

    try:
        yield
    except AudioError:
        raise
    except FileNotFoundError:
        raise AudioError("no such file") from None
    except IsADirectoryError:
        raise AudioError("is a folder, not an audio file") from None
    except OSError as error:
        raise AudioError(f"cannot be opened ({error.strerror or error})") from None
    except (soundfile.LibsndfileError, RuntimeError, TypeError, ValueError) as error:
        raise AudioError(f"cannot be decoded ({_detail(error)}): {DAMAGED}") from None


def _detail(error: Exception) -> str:
    """What a decoder says, in a line without the file's name."""
    told = str(getattr(error, "error_string", error))
    return " ".join(told.removeprefix("Error : ").split()).rstrip(".")


def _contiguous(mono: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(mono, dtype=np.float32)


def _resampler(rate_hz: int) -> Any:
    if rate_hz == SAMPLE_RATE_HZ:
        return None
    import soxr

    return soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")


def checked_samples(samples: Any) -> np.ndarray:
    """Samples of a program, (samples,) float32. Raises UserError for what is no mono sound that is
    in -1 to 1, or a little beyond."""
    try:
        given = np.asarray(samples)
    except (TypeError, ValueError, RuntimeError):  # rows of unlike length, a GPU's tensor
        given = np.asarray(None)
    if not np.issubdtype(given.dtype, np.floating):
        kind = type(samples).__name__ if given.dtype.kind in "OSU" else given.dtype
        raise UserError(f"samples of type {kind}: give floats in -1 to 1")
    if given.ndim != 1:
        raise UserError(f"samples of shape {given.shape}: give mono, (samples,)")
    peak = float(np.abs(given).max(initial=0.0))
    if not np.isfinite(peak):
        raise UserError("samples are not all finite; replace NaN and infinity")
    if peak > _LOUDEST:
        raise UserError(f"samples up to {peak:.3g}: give floats in -1 to 1, 16 bit over 32768")
    return given.astype(np.float32, copy=False)


def long_enough(samples: np.ndarray) -> np.ndarray:
    """The samples, with silence behind them where they are less than a frame."""
    short = SHORTEST_SAMPLES - len(samples)
    return np.pad(samples, (0, short)) if short > 0 else samples


def write_flac(path: Path, samples: np.ndarray, rate_hz: int = SAMPLE_RATE_HZ) -> None:
    """Write mono float32 samples as 16-bit FLAC, whole or not at all."""
    import soundfile

    stream = io.BytesIO()
    soundfile.write(stream, samples, rate_hz, format="FLAC", subtype="PCM_16")
    write_bytes(path, stream.getvalue())
