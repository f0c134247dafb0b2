"""Speechmatics' JSON: `results` of words and marks; seconds.

https://docs.speechmatics.com/speech-to-text/batch/output: speakers are `S1`, `S2`, and `UU` where
it is not known who speaks.
"""

from __future__ import annotations

from typing import Any

from moontune.importing.timed.recognisers.documents import (
    Segment,
    Service,
    dicts,
    inside,
    speaker_of,
    with_marks,
)

_NOBODY = "UU"
_KEYS = {"alternatives", "start_time", "type"}


def _parts(document: Any) -> list[Any] | None:
    results = dicts(inside(document, "results"))
    if not any(one.keys() >= _KEYS for one in results or ()):
        return None
    results = [one for one in results or () if "alternatives" in one]  # no `speaker_change`
    channels = sorted({str(one.get("channel")) for one in results})
    parts: list[Any] = []
    for number, channel in enumerate(channels):
        mine = [one for one in results if str(one.get("channel")) == channel]
        rows = [(one, _content(one), one.get("type") == "punctuation") for one in mine]
        parts += [(item, text, number) for item, text in with_marks(rows)]
    return parts


def _content(item: dict[str, Any]) -> str:
    return str(inside(item, "alternatives", 0, "content") or "")


def _segment(part: tuple[dict[str, Any], str, int]) -> Segment:
    item, text, channel = part
    who = inside(item, "alternatives", 0, "speaker")
    if isinstance(who, str) and who[:1] == "S" and who[1:].isdigit():
        who = who[1:]
    speaker = None if who == _NOBODY else speaker_of(who)
    times = float(item["start_time"]), float(item["end_time"])
    return Segment(*times, text, speaker, channel, is_word=True)


SERVICE = Service("speechmatics", "Speechmatics JSON", _parts, _segment)
