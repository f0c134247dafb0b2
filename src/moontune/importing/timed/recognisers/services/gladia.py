"""Gladia's JSON: `utterances` of `words`, and `prediction` of its first version; seconds.

https://docs.gladia.io/api-reference/v2/pre-recorded/get: what a job gives has them in
`result.transcription`; translations, which stand beside it, are not read. The first version's names
are from memory.
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

_AT = (("result", "transcription"), ("transcription",), ())
_KEYS = {"text", "start", "end", "words", "channel"}
_OLD_KEYS = {"transcription", "time_begin", "time_end"}
_OLD_CHANNEL = re.compile(r"channel_(\d+)")
_NOBODY = "not_activated"


def _parts(document: Any) -> list[Any] | None:
    for names in _AT:
        found = dicts(inside(document, *names, "utterances"))
        if any(one.keys() >= _KEYS for one in found or ()):
            return found
    old = dicts(inside(document, "prediction"))
    return old if any(one.keys() >= _OLD_KEYS for one in old or ()) else None


def _segment(part: dict[str, Any]) -> Segment:
    if "time_begin" in part:
        return _of_old(part)
    words = [
        Word(float(w["start"]), float(w["end"]), text_of(w["word"])) for w in part["words"] or ()
    ]
    times = float(part["start"]), float(part["end"])
    who = speaker_of(part.get("speaker"))
    return Segment(*times, text_of(part["text"]), who, part.get("channel"), words)


def _of_old(part: dict[str, Any]) -> Segment:
    words = [
        Word(float(w["time_begin"]), float(w["time_end"]), text_of(w["word"]))
        for w in part.get("words") or ()
    ]
    times = float(part["time_begin"]), float(part["time_end"])
    who, channel = part.get("speaker"), _OLD_CHANNEL.fullmatch(str(part.get("channel")))
    return Segment(
        *times, text_of(part["transcription"]), speaker_of(None if who == _NOBODY else who),
        int(channel[1]) if channel else None, words,
    )  # fmt: skip


SERVICE = Service("gladia", "Gladia JSON", _parts, _segment)
