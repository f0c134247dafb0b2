"""Texts with times, as subtitles and annotation programs keep them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from moontune.data.manifest import Dropped
from moontune.importing.values import Place
from moontune.languages.words import joined_lines


@dataclass(frozen=True)
class Caption:
    """A text and when it is said."""

    where: str  # "talk.srt:12"
    start_s: float
    end_s: float
    text: str
    speaker: str | None = None
    is_word: bool = False  # a single one: to be joined up to a pause
    begins: bool = False  # with who speaks, in its text or, once it is taken out, as `speaker`
    to_next: bool = False  # of which only the begin is told: it lasts to the next one's
    lines: tuple[str, ...] = ()  # of its text, where it may be long


@dataclass(frozen=True)
class Captioned:
    """The captions of one recording."""

    captions: tuple[Caption, ...]
    audio: tuple[str, ...] = ()  # what the source calls the recording; (): as the file itself
    channel: int | None = None  # from 0
    left_out: tuple[Dropped, ...] = ()
    told: tuple[str, ...] = ()  # what was taken for what


@dataclass(frozen=True)
class TimedKind:
    """A kind of file with timed texts."""

    name: str
    title: str
    suffixes: tuple[str, ...]
    read: Callable[[Path, Place], list[Captioned]]  # raises DamagedSourceError
    is_one: Callable[[Path], bool] = lambda path: True
    tells: bool = False  # what was taken for what: worth reading a file of it for, beforehand


def tidy(text: str) -> str:
    """One line, without the white space and the dashes that mark who speaks."""
    lines = (line.strip().removeprefix("- ").strip() for line in text.splitlines())
    return " ".join(joined_lines(lines).split())
