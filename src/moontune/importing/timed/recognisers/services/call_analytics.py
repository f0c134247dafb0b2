"""JSON of Amazon Transcribe Call Analytics, and of Contact Lens: `Transcript`, turns of agent and
customer; milliseconds.

https://docs.aws.amazon.com/transcribe/latest/dg/tca-output-batch.html: each turn has `Items`, words
and marks. On which channel each of the two speaks is not told, so that what both say at once is
left out. Shapes of words are from memory.
"""

from __future__ import annotations

from typing import Any

from moontune.importing.timed.recognisers.documents import (
    Segment,
    Service,
    Word,
    dicts,
    inside,
    speaker_of,
    text_of,
    with_marks,
)

_KEYS = {"Content", "BeginOffsetMillis", "EndOffsetMillis"}


def _parts(document: Any) -> list[Any] | None:
    turns = dicts(inside(document, "Transcript"))
    return turns if any(one.keys() >= _KEYS for one in turns or ()) else None


def _segment(turn: dict[str, Any]) -> Segment:
    rows = [(i, text_of(i["Content"]), _is_mark(i)) for i in dicts(turn.get("Items")) or ()]
    words = [Word(*_times(item), text) for item, text in with_marks(rows)]
    who = speaker_of(turn.get("ParticipantRole") or turn.get("ParticipantId"))
    return Segment(*_times(turn), text_of(turn["Content"]), who, words=words)


def _is_mark(item: dict[str, Any]) -> bool:
    return str(item.get("Type")).lower() == "punctuation" or "BeginOffsetMillis" not in item


def _times(part: dict[str, Any]) -> tuple[float, float]:
    return float(part["BeginOffsetMillis"]) / 1000, float(part["EndOffsetMillis"]) / 1000


SERVICE = Service("aws-call-analytics", "Amazon Call Analytics JSON", _parts, _segment)
