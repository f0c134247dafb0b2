"""Amazon Transcribe's JSON: `results.items`, words with times and marks without.

https://docs.aws.amazon.com/transcribe/latest/dg/how-input.html: speakers stand in the items, or in
`speaker_labels` by their times; of two channels each has items of its own.
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


def _parts(document: Any) -> list[Any] | None:
    items = dicts(inside(document, "results", "items"))
    if items is None or inside(document, "results", "transcripts") is None:
        return None
    segments = dicts(inside(document, "results", "speaker_labels", "segments")) or []
    who = {
        (one.get("start_time"), one.get("end_time")): one.get("speaker_label")
        for segment in segments
        for one in (segment, *(dicts(segment.get("items")) or ()))
    }
    channels = dicts(inside(document, "results", "channel_labels", "channels"))
    lists = [dicts(channel.get("items")) or [] for channel in channels or ()] or [items]
    parts: list[Any] = []
    for number, of_channel in enumerate(lists):
        rows = [(i, _content(i), i.get("type") == "punctuation") for i in of_channel]
        for item, text in with_marks(rows):
            times = item.get("start_time"), item.get("end_time")
            speaker = item.get("speaker_label") or who.get(times)
            parts.append((*times, text, speaker, number))
    return parts


def _content(item: dict[str, Any]) -> str:
    return str(inside(item, "alternatives", 0, "content") or "")


def _segment(part: tuple[Any, Any, str, str | None, int]) -> Segment:
    start, end, text, speaker, channel = part
    return Segment(float(start), float(end), text, speaker_of(speaker), channel, is_word=True)


SERVICE = Service("aws-transcribe", "Amazon Transcribe JSON", _parts, _segment)
