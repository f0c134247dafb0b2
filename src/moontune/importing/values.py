"""What a source says of its utterances, and what a way of reading one is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from moontune.data.audio import AudioPart
from moontune.data.manifest import Dropped
from moontune.errors import UserError
from moontune.importing.audio_files import AudioFinder

NO_AUDIO, NO_TEXT, BAD_TIMES = "no audio", "no text", "bad times"  # reasons, as counted
TWICE, BAD_ROW, OVERLAPPING = "listed twice", "bad row", "overlapping"
TOO_LONG, UNREADABLE, ANOTHER_TEXT = "too long", "unreadable", "another text"
HIDDEN = "hidden row"
# What values of JSON raise that are of another shape than the one that is read.
MISSHAPEN = (LookupError, TypeError, ValueError, AttributeError, OverflowError)


class DamagedSourceError(UserError):
    """A source that cannot be read, or not further; what was read before may be kept."""


@dataclass(frozen=True)
class Piece:
    """What a base hears between two pauses of a recording."""

    start_s: float  # of the speech itself
    end_s: float
    text: str


@dataclass(frozen=True)
class Guess:
    """Sentences that may be what is said in a stretch of a recording, all of them and no others."""

    start_s: float
    end_s: float
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Fit:
    """How well a sentence of a guess fits the sound: nats of each of its tokens, (tokens,)."""

    there: np.ndarray
    reversed: np.ndarray  # on the same sound played backwards, in which nobody says it


class Ear(Protocol):
    """Who listens to recordings whose scripts have no times."""

    def hear(self, recording: Path, longest_s: float) -> list[Piece]:
        """The pieces of a recording, none longer than so many seconds where a pause allows it."""
        ...

    def fits(self, recording: Path, guesses: Sequence[Guess]) -> list[tuple[Fit, ...]]:
        """Of each guess, sentence by sentence; nothing at all where that cannot be told."""
        ...


@dataclass(frozen=True)
class SourceRow:
    """What a source says of one utterance."""

    where: str  # "table.csv:12"
    text: str
    audio: Path | bytes  # a file, or one that the source holds
    name: str  # of the clip, as the source has it: "clips/a", without the file's suffix
    offset_s: float | None = None  # into the file
    duration_s: float | None = None  # of the clip; None: to the file's end
    channel: int | None = None
    speaker: str | None = None
    recorded: tuple[tuple[str, str], ...] = ()  # as in `Utterance`

    @property
    def is_part(self) -> bool:
        """Whether it is a stretch of its file, and not all of it."""
        return self.offset_s is not None or self.duration_s is not None

    @property
    def sound(self) -> Path | bytes | AudioPart:
        """What `read_audio` takes."""
        if isinstance(self.audio, bytes) or not (self.is_part or self.channel is not None):
            return self.audio
        return AudioPart(self.audio, self.offset_s or 0.0, self.duration_s, self.channel)


Found = SourceRow | Dropped


@dataclass(frozen=True)
class Place:
    """A file or folder that is looked at, and what is known of where it belongs."""

    path: Path
    root: Path  # the SOURCE it is of; names are relative to it
    finder: AudioFinder
    longest_s: float  # of a clip that is cut out of a longer recording
    ear: Ear | None = None  # for scripts without times; None: such are left out
    language: str | None = None  # code of what is spoken, where it was asked for

    def name_of(self, path: Path) -> str:
        """A file's name as rows and messages have it: below the source, else whole."""
        return (
            path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.name
        )

    def at(self, path: Path) -> Place:
        """The same of another file or folder."""
        return replace(self, path=path)


@dataclass(frozen=True)
class Recognised:
    """A file or folder, what it was taken for, and its rows."""

    format: str  # the name of it, as `--format` has it
    path: Path
    parts: tuple[Callable[[], Iterator[Found]], ...]  # of files; each may raise DamagedSourceError
    taken_for: tuple[str, ...] = ()  # columns, tiers and the like, in words
    whole: bool = True  # nothing else below the folder, or in it, is looked at
    told_after: Callable[[], tuple[str, ...]] = tuple  # more in words, once its rows are read
    of_one: bool = False  # its speakers are named for each recording by itself


@dataclass(frozen=True)
class Format:
    """A way that recordings and texts are kept."""

    name: str  # as `--format` has it
    title: str
    sign: str  # what it is recognised by
    of_folder: Callable[[Place], Recognised | None] | None = None
    of_file: Callable[[Place], Recognised | None] | None = None
    suffixes: tuple[str, ...] = field(default=())  # of the files to be shown to `of_file`; (): any
    of_tree: Callable[[Place], Recognised | None] | None = None  # asked where no folder is anything


def broken(error: DamagedSourceError) -> Iterator[Found]:
    """The rows of a source that cannot be read: there are none, and that is told for them."""
    raise error
    yield


def left_out(where: str, name: str, reason: str, detail: str) -> Dropped:
    """A row that is not taken."""
    return Dropped(where, name, reason, detail)
