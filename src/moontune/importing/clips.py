"""Rows' audio as clips of a data set: FLAC files of its own, or stretches of the user's files."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from moontune.data.audio import (
    SAMPLE_RATE_HZ,
    AudioError,
    TooLongError,
    audio_blocks,
    header_duration_s,
    is_read_from_its_beginning,
    read_audio,
    write_flac,
)
from moontune.data.manifest import Dropped, Utterance
from moontune.data.sound.stereo import TwoChannels
from moontune.importing.values import BAD_TIMES, TOO_LONG, UNREADABLE, SourceRow, left_out

LONGEST_S = 60.0  # what `max_duration_s` may be raised to
_EARLY_S = 0.1  # a stretch may end so much behind its file's end
_TO_BE_CUT = "name begin and end of its parts, or put its text beside it as NAME.txt, which cuts it"
_BEYOND_S = 1e9  # behind the end of any recording; a time may be more than samples are counted to
_LONGEST_PART = 80  # characters of a folder's or file's name
Placed = tuple[int, Utterance | Dropped]  # with the row's number, which orders them


@dataclass(frozen=True)
class Numbered:
    """A row, its number, and the name and id that its clip gets."""

    number: int
    row: SourceRow
    name: str

    def link(self, path: Path, seconds: float | None) -> Placed:
        """The utterance that is a file of the user's, or a stretch of it."""
        row = self.row
        offset = (row.offset_s or 0.0) if row.is_part else None
        utterance = Utterance(
            self.name, path, row.text, seconds, row.speaker,
            where=row.where, offset=offset, channel=row.channel, recorded=row.recorded,
        )  # fmt: skip
        return self.number, utterance

    def copy(self, path: Path, seconds: float) -> Placed:
        """The utterance that is a file of its own; a stretch tells what recording it is of."""
        row, recorded = self.row, self.row.recorded
        if row.is_part and isinstance(row.audio, Path) and "recording" not in dict(recorded):
            recorded = (*recorded, ("recording", row.audio.stem))
        utterance = Utterance(
            self.name, path, row.text, seconds, row.speaker, where=row.where, recorded=recorded
        )
        return self.number, utterance

    def out(self, reason: str, detail: str) -> Placed:
        """Why there is no utterance."""
        return self.number, left_out(self.row.where, self.name, reason, detail)


class Names:
    """Names of clips that no file system stumbles over, each given once."""

    def __init__(self) -> None:
        self._given: dict[str, int] = {}

    def new(self, wanted: str) -> str:
        """The wanted name with plain characters, and with a number where it was given before."""
        parts = [_plain(part) for part in wanted.replace("\\", "/").split("/")]
        name = "/".join(part for part in parts if part) or "clip"
        key = name.casefold()
        while key in self._given:
            self._given[key] += 1
            again = f"{name}-{self._given[key]}"
            if again.casefold() not in self._given:
                name, key = again, again.casefold()
        self._given[key] = 1
        return name


def _plain(part: str) -> str:
    """Letters with their marks, also of file systems that write accents apart, figures, `.`, `-`
    and `_`."""
    whole = unicodedata.normalize("NFC", part)
    kept = (
        c if re.match(r"[\w.-]", c) or unicodedata.category(c)[0] == "M" else " " for c in whole
    )
    return re.sub(" +", "_", "".join(kept)).strip("._ ")[:_LONGEST_PART]


def to_copy(rows: Sequence[Numbered]) -> list[Numbered]:
    """Those that are stretches of files that can only be read from their beginning (m4a, mp4, webm,
    mp3s that are joined or tell no length): each time that one is heard, all before it would be
    decoded."""
    slow: dict[Path, bool] = {}
    found = []
    for one in rows:
        path = one.row.audio
        if one.row.is_part and isinstance(path, Path):
            if path not in slow:
                slow[path] = is_read_from_its_beginning(path)
            found += [one] if slow[path] else []
    return found


def linked(rows: Iterable[Numbered]) -> Iterator[Placed]:
    """Utterances that are the user's own files, or stretches of them."""
    lengths: dict[tuple[Path, int | None], float | AudioError] = {}
    for one in rows:
        path, channel = one.row.audio, one.row.channel
        assert isinstance(path, Path)
        if (path, channel) not in lengths:
            try:
                lengths[path, channel] = header_duration_s(path)
                if channel is not None:
                    next(audio_blocks(path, channel), None)  # raises where there is none
            except AudioError as error:
                lengths[path, channel] = error
        seconds = lengths[path, channel]
        if isinstance(seconds, AudioError):
            yield one.out(UNREADABLE, f"{path}: {seconds}")
        else:
            yield _linked(one, path.resolve(), seconds)


def _linked(one: Numbered, path: Path, seconds: float) -> Placed:
    row, known = one.row, seconds or float("inf")  # 0: the head does not say
    if not row.is_part:
        if seconds > LONGEST_S:
            detail = f"{seconds:.1f} s, at most {LONGEST_S:g} s; {_TO_BE_CUT}"
            return one.out(TOO_LONG, detail)
        return one.link(path, round(seconds, 3) or None)
    offset = row.offset_s or 0.0
    length = min(known - offset, row.duration_s if row.duration_s is not None else known)
    if (problem := _outside(offset, row.duration_s, known)) is not None:
        return one.out(BAD_TIMES, problem)
    if length > LONGEST_S:
        return one.out(TOO_LONG, f"{length:.1f} s, at most {LONGEST_S:g} s")
    return one.link(path, round(length, 4))


def _outside(offset_s: float, seconds: float | None, there_s: float) -> str | None:
    if offset_s >= there_s:
        return f"begins at {offset_s:g} s, and the recording lasts {there_s:.2f} s"
    if seconds is not None and offset_s + seconds > there_s + _EARLY_S:
        return f"ends at {offset_s + seconds:g} s, and the recording lasts {there_s:.2f} s"
    return None


Tell = Callable[[str], object]


def copied(
    rows: Sequence[Numbered], folder: Path, mixed: Tell = lambda name: None
) -> Iterator[Placed]:
    """Utterances whose audio is written to `folder` as 16 kHz mono FLAC.

    A recording that many stretches are of is decoded once, in blocks. `mixed` is given the name of
    each that has two people on its two channels, where no row picks one.
    """
    parts: dict[tuple[Path, int | None], list[Numbered]] = defaultdict(list)
    for one in rows:
        if one.row.is_part and isinstance(one.row.audio, Path):
            parts[one.row.audio, one.row.channel].append(one)
        else:
            yield whole(one, folder, mixed)
    for (path, channel), stretches in parts.items():
        channels = TwoChannels()
        yield from _cut(path, channel, stretches, folder, channels)
        if channel is None and channels.two_people:
            mixed(path.name)


def whole(one: Numbered, folder: Path, mixed: Tell = lambda name: None) -> Placed:
    """The utterance of a whole file, or of bytes, written to `folder`; `mixed` as above."""
    channels, row = TwoChannels(), one.row
    try:
        samples = read_audio(row.sound, LONGEST_S, channels.hear)
    except TooLongError as error:
        return one.out(TOO_LONG, f"{error}; {_TO_BE_CUT}")
    except AudioError as error:
        source = "" if isinstance(one.row.audio, bytes) else f"{one.row.audio}: "
        return one.out(UNREADABLE, f"{source}{error}")
    if row.channel is None and channels.two_people:
        mixed(row.audio.name if isinstance(row.audio, Path) else row.name)
    return _written(one, samples, folder)


def _written(one: Numbered, samples: np.ndarray, folder: Path) -> Placed:
    path = folder / f"{one.name}.flac"
    write_flac(path, samples)
    return one.copy(path, round(len(samples) / SAMPLE_RATE_HZ, 4))


def _cut(
    path: Path, channel: int | None, rows: list[Numbered], folder: Path, channels: TwoChannels
) -> Iterator[Placed]:
    waiting = sorted(rows, key=lambda one: one.row.offset_s or 0.0)
    held, begin = np.zeros(0, np.float32), 0  # what is still wanted, and its place
    problem: AudioError | None = None
    blocks = audio_blocks(path, channel, channels.hear)
    ended = False
    while waiting and not ended:
        try:
            block = next(blocks, None)
        except AudioError as error:
            problem, block = error, None
        ended = block is None
        if block is not None:
            held = np.concatenate([held, block])
        there, left = begin + len(held), []
        for place, one in enumerate(waiting):
            start, end = _stretch(one.row)
            if start >= there and not ended:  # nor is any behind it
                left += waiting[place:]
                break
            if (end is not None and end <= there) or (ended and problem is None):
                yield _piece(one, held, start - begin, end and end - begin, there, folder)
            else:
                left.append(one)
        waiting = left
        first = _stretch(waiting[0].row)[0] if waiting else there
        drop = min(max(first - begin, 0), len(held))
        held, begin = held[drop:], begin + drop
    for one in waiting:
        yield one.out(UNREADABLE, f"{path}: {problem}")


def _stretch(row: SourceRow) -> tuple[int, int | None]:
    """First and past-the-last sample, as `read_audio` takes them; None: to the end."""
    start = round(min(row.offset_s or 0.0, _BEYOND_S) * SAMPLE_RATE_HZ)
    if row.duration_s is None:
        return start, None
    return start, start + round(min(row.duration_s, _BEYOND_S) * SAMPLE_RATE_HZ)


def _piece(
    one: Numbered, held: np.ndarray, start: int, end: int | None, there: int, folder: Path
) -> Placed:
    row, seconds = one.row, there / SAMPLE_RATE_HZ
    at_end = end is None or end > len(held)
    if at_end and (problem := _outside(row.offset_s or 0.0, row.duration_s, seconds)) is not None:
        return one.out(BAD_TIMES, problem)
    samples = held[start : len(held) if end is None else end]
    if len(samples) > LONGEST_S * SAMPLE_RATE_HZ:
        return one.out(TOO_LONG, f"{len(samples) / SAMPLE_RATE_HZ:.1f} s, at most {LONGEST_S:g} s")
    if not len(samples):
        return one.out(BAD_TIMES, "lasts 0 s")
    return _written(one, samples, folder)
