"""Azure's JSON of batch and fast transcription: phrases with ticks of 100 ns, `PT1.5S`, or
milliseconds.

https://learn.microsoft.com/azure/ai-services/speech-service/batch-transcription-get: of a phrase's
guesses (`nBest`) the first is the likeliest, and `display` is it as it is written. Names begin with
capitals in what older versions and the Video Indexer write.
"""

from __future__ import annotations

import re
from typing import Any

from moontune.importing.timed.recognisers.documents import (
    Segment,
    Service,
    Word,
    dicts,
    inside,
    speaker_of,
    text_of,
)

_TICKS_A_SECOND = 10_000_000
_DURATION = re.compile(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?", re.IGNORECASE)


def _parts(document: Any) -> list[Any] | None:
    small = _small(document)
    found = dicts(inside(small, "recognizedphrases")) or dicts(inside(small, "phrases"))
    said = [one for one in map(_small, found or ()) if _said(one)]
    known = any(_has_times(one) and {"display", "text"} & _best(one).keys() for one in said)
    return said if known else None


def _best(phrase: dict[str, Any]) -> dict[str, Any]:
    """The likeliest of a phrase's guesses; in what is transcribed at once there is one."""
    return _small(inside(phrase, "nbest", 0)) or phrase


def _small(value: Any) -> dict[str, Any]:
    """An object with names in small letters."""
    return {str(k).lower(): v for k, v in value.items()} if isinstance(value, dict) else {}


def _has_times(part: dict[str, Any]) -> bool:
    return any(f"offset{unit}" in part for unit in ("", "inticks", "milliseconds"))


def _said(part: dict[str, Any]) -> bool:
    return str(part.get("recognitionstatus") or "Success").lower() == "success"


def _segment(phrase: dict[str, Any]) -> Segment:
    best = _best(phrase)
    start, end = _times(phrase)
    shown = dicts(best.get("displaywords")) or dicts(best.get("words")) or []
    text = best["display"] if "display" in best else best["text"]
    written = text_of(text).split()
    alike = len(written) == len(shown)  # words as they are written, without numbers in figures
    words = []
    for i, word in enumerate(map(_small, shown)):
        bare = word.get("displaytext") or word.get("word") or word.get("text")
        words.append(Word(*_times(word), written[i] if alike else text_of(bare)))
    channel = phrase.get("channel")
    return Segment(
        start, end, text_of(text), speaker_of(phrase.get("speaker")),
        int(channel) if channel is not None else None, words,
    )  # fmt: skip


def _times(part: dict[str, Any]) -> tuple[float, float]:
    start = _seconds(part, "offset")
    return start, start + _seconds(part, "duration")


def _seconds(part: dict[str, Any], name: str) -> float:
    for unit, of_a_second in (("inticks", _TICKS_A_SECOND), ("milliseconds", 1000)):
        if part.get(name + unit) is not None:
            return float(part[name + unit]) / of_a_second
    value = part[name]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value / _TICKS_A_SECOND
    if not (found := _DURATION.fullmatch(str(value))) or not any(found.groups()):
        raise ValueError(f"{str(value)[:40]!r} is no time")
    hours, minutes, seconds = found.groups()
    return 3600 * int(hours or 0) + 60 * int(minutes or 0) + float(seconds or 0)


SERVICE = Service("azure-speech", "Azure Speech JSON", _parts, _segment)
