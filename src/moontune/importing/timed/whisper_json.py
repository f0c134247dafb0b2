"""JSON of Whisper and its like: whisper, whisperx, faster-whisper, whisper.cpp, transformers.

All have a list of segments with begin, end and text. Where words have times, these are the finer
ones: a segment begins with its first word and ends with its last, and one that is too long for a
clip is taken word by word.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from moontune.importing.text_files import read_text
from moontune.importing.timed.captions import Caption, Captioned, TimedKind, tidy
from moontune.importing.values import BAD_ROW, BAD_TIMES, DamagedSourceError, Place, left_out

_LISTS = ("segments", "chunks", "transcription")
_MOST_BYTES = 200_000_000


def is_whisper(path: Path) -> bool:
    """Whether a JSON file holds segments with times."""
    if path.stat().st_size > _MOST_BYTES:
        return False
    try:
        found = _segments(json.loads(read_text(path).text))
    except (ValueError, RecursionError, DamagedSourceError):
        return False
    return bool(found) and isinstance(found[0], dict) and "text" in found[0] and bool(
        {"start", "timestamp", "timestamps", "offsets"} & found[0].keys()
    )  # fmt: skip


def read_whisper(path: Path, place: Place) -> list[Captioned]:
    """The captions of such a file. Raises DamagedSourceError."""
    try:
        found = _segments(json.loads(read_text(path).text))
    except (ValueError, RecursionError) as error:
        raise DamagedSourceError(f"{path}: is no whole JSON ({error}); write it again") from None
    captions, left = [], []
    for number, segment in enumerate(found, start=1):
        where = f"{place.name_of(path)}:segment {number}"
        try:
            captions += _captions(segment, where, place.longest_s)
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
            kind = BAD_TIMES if isinstance(error, ValueError | OverflowError) else BAD_ROW
            left.append(left_out(where, where, kind, f"{type(error).__name__}: {error}"[:200]))
    return [Captioned(tuple(captions), left_out=tuple(left))]


def _segments(value: Any) -> list[Any]:
    if isinstance(value, dict):
        value = next((value[name] for name in _LISTS if isinstance(value.get(name), list)), None)
    return value if isinstance(value, list) else []


def _captions(segment: dict[str, Any], where: str, longest_s: float) -> Iterator[Caption]:
    start, end = _times(segment)
    speaker = segment.get("speaker")
    who = str(speaker) if speaker is not None else None
    words = [w for w in segment.get("words") or () if isinstance(w, dict)]
    timed = [w for w in words if "start" in w and "end" in w]
    if timed:
        start, end = float(timed[0]["start"]), float(timed[-1]["end"])
    if end - start > longest_s and words and len(timed) == len(words):
        for word in words:
            text = tidy(str(word.get("word") or word.get("text") or ""))
            if text:
                yield Caption(where, float(word["start"]), float(word["end"]), text, who, True)
        return
    yield Caption(where, start, end, tidy(str(segment["text"] or "")), who)


def _times(segment: dict[str, Any]) -> tuple[float, float]:
    if "start" in segment:
        return float(segment["start"]), float(segment["end"])
    if "timestamp" in segment:  # transformers: the last may have no end
        start, end = segment["timestamp"]
        if end is None:
            raise ValueError("has no end")
        return float(start), float(end)
    offsets = segment["offsets"]  # whisper.cpp: milliseconds
    return float(offsets["from"]) / 1000, float(offsets["to"]) / 1000


WHISPER = TimedKind("whisper", "Whisper JSON", (".json",), read_whisper, is_whisper)
