"""JSON that programs and services write that recognise speech: its segments as captions.

What each writes is a `Service`. A segment that is too long for a clip is taken word by word, where
its words have times.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from moontune.data.manifest import Dropped
from moontune.data.rows.fields import FIELD_NAMES
from moontune.importing.text_files import read_text
from moontune.importing.timed.captions import Caption, Captioned, tidy
from moontune.importing.values import (
    BAD_ROW,
    BAD_TIMES,
    MISSHAPEN,
    DamagedSourceError,
    Place,
    left_out,
)

MOST_BYTES = 200_000_000
_JSON = json.JSONDecoder()
_SPACE = re.compile(r"\s*")
_OF_AUDIO = frozenset(FIELD_NAMES["audio_filepath"])
_BARE = re.compile(r"\d{1,3}|[A-Za-z]")  # what numbers a speaker; a name has more


@dataclass(frozen=True)
class Word:
    """A word and when it is said."""

    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True)
class Segment:
    """A stretch of speech, as it was recognised."""

    start_s: float
    end_s: float
    text: str
    speaker: str | None = None
    channel: int | None = None  # from 0
    words: Sequence[Word] = ()  # all of the text, or none
    is_word: bool = False  # one, to be joined up to a pause


@dataclass(frozen=True)
class Service:
    """Who writes JSON of one shape."""

    name: str  # as `--format` has it
    title: str
    parts: Callable[[Any], list[Any] | None]  # of a document; None: it is of another shape
    segment: Callable[[Any], Segment]  # of a part; raises what JSON of another shape raises
    suffixes: tuple[str, ...] = (".json",)  # the usual one last


def document_of(path: Path) -> Any:
    """What a JSON file holds; of several values, one behind another, as a program writes that
    prints each result, their list. Raises DamagedSourceError."""
    try:
        text = read_text(path).text.strip("\ufeff \t\r\n")
        first, end = _JSON.raw_decode(text)
        if end == len(text):
            return first
        if not isinstance(first, dict) or not _OF_AUDIO.isdisjoint(first):  # a manifest's row
            return json.loads(text)
        return [first, *_values(text, end)]
    except (ValueError, RecursionError) as error:
        raise DamagedSourceError(f"{path}: is no whole JSON ({error}); write it again") from None


def _values(text: str, at: int) -> Iterator[Any]:
    """The values in a text from a place on. Raises ValueError."""
    while at < len(text):
        value, at = _JSON.raw_decode(text, _SPACE.match(text, at).end())  # type: ignore[union-attr]
        yield value


def parts_of(service: Service, document: Any) -> list[Any] | None:
    """A document's parts; None where it is of another shape than the service's."""
    try:
        return service.parts(document)
    except (*MISSHAPEN, RecursionError):
        return None


def read_document(service: Service, path: Path, place: Place) -> list[Captioned]:
    """The captions of a service's file, by channel. Raises DamagedSourceError."""
    captions: dict[int, list[Caption]] = defaultdict(list)
    left: list[Dropped] = []
    segments: list[tuple[str, Segment]] = []
    for number, part in enumerate(parts_of(service, document_of(path)) or [], start=1):
        where = f"{place.name_of(path)}:segment {number}"
        try:
            segments.append((where, _checked(service.segment(part))))
        except MISSHAPEN as error:
            kind = BAD_TIMES if isinstance(error, ValueError | OverflowError) else BAD_ROW
            left.append(left_out(where, where, kind, f"{type(error).__name__}: {error}"[:200]))
    several = len({segment.channel for _, segment in segments}) > 1
    for where, segment in segments:
        who = _voice(segment, several=several)
        of_channel = captions[(segment.channel or 0) if several else -1]
        of_channel += _captions(segment, where, who, place.longest_s)
    found = [
        Captioned(tuple(said), channel=channel if channel >= 0 else None)
        for channel, said in sorted(captions.items())
    ]
    return [*found, Captioned((), left_out=tuple(left))] if left else found


def _checked(segment: Segment) -> Segment:
    """A segment whose channel is a number from 0. Raises TypeError, and ValueError for times."""
    if not (math.isfinite(segment.start_s) and math.isfinite(segment.end_s)):
        raise ValueError(f"begins at {segment.start_s} s and ends at {segment.end_s} s")
    if segment.channel is None:
        return segment
    if not str(segment.channel).isdecimal():
        raise TypeError(f"is of channel {str(segment.channel)[:40]}")
    return replace(segment, channel=int(segment.channel))


def _voice(segment: Segment, *, several: bool) -> str | None:
    """Who speaks: numbers of several channels are of each for itself, and a channel without any is
    one speaker's."""
    if not several:
        return segment.speaker
    channel = (segment.channel or 0) + 1
    if segment.speaker is None:
        return f"Speaker {channel}"
    number = re.fullmatch(r"(?i:speaker|spk)[ _]?(\w+)", segment.speaker)
    return f"Speaker {channel}-{number[1]}" if number else segment.speaker


def _captions(segment: Segment, where: str, who: str | None, longest_s: float) -> Iterator[Caption]:
    if segment.words and segment.end_s - segment.start_s > longest_s:
        for word in segment.words:
            if text := tidy(word.text):
                yield Caption(where, word.start_s, word.end_s, text, who, True)
        return
    text = tidy(segment.text)
    if text or not segment.is_word:
        yield Caption(where, segment.start_s, segment.end_s, text, who, segment.is_word)


def speaker_of(value: Any) -> str | None:
    """A speaker's name; of a number or a letter, `Speaker 1`."""
    if not isinstance(value, str | int) or isinstance(value, bool) or not str(value).strip():
        return None
    name = str(value).strip()
    return f"Speaker {name}" if _BARE.fullmatch(name) else name


def text_of(value: Any) -> str:
    """A text, which may be missing. Raises TypeError for what is none."""
    if isinstance(value, str | int | float):
        return str(value)
    if value is None:
        return ""
    raise TypeError(f"a text is {type(value).__name__}")


def dicts(value: Any) -> list[dict[str, Any]] | None:
    """A list of objects, of which there is one at least; None for anything else."""
    if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        return value
    return None


def inside(value: Any, *names: str | int) -> Any:
    """What lies below names and places; None where there is no such."""
    for name in names:
        if isinstance(name, str):
            value = value.get(name) if isinstance(value, dict) else None
        else:
            value = value[name] if isinstance(value, list) and len(value) > name else None
    return value


def with_marks(
    items: Sequence[tuple[dict[str, Any], str, bool]],
) -> list[tuple[dict[str, Any], str]]:
    """Words, each with the punctuation that follows it: of items with their texts, and whether each
    is a mark, which has no time of its own."""
    words: list[tuple[dict[str, Any], str]] = []
    before = ""  # the first word
    for item, text, is_mark in items:
        if not is_mark:
            words.append((item, before + text))
            before = ""
        elif words:
            words[-1] = words[-1][0], words[-1][1] + text
        else:
            before += text
    return [*words, (items[0][0], before)] if before.strip() else words
