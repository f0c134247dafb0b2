"""A podcast's transcript: `segments` of `body`, each a sentence or a word; seconds.

https://github.com/Podcastindex-org/podcast-namespace, transcripts.md: `endTime` and `speaker` may
be missing. A segment without an end lasts up to the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from moontune.importing.timed.recognisers.documents import (
    Segment,
    Service,
    dicts,
    inside,
    speaker_of,
    text_of,
)
from moontune.languages.letters import separates_no_words

_KEYS = {"startTime", "body"}
_WORDS = 0.9  # of the segments are single words


@dataclass(frozen=True)
class _Part:
    segment: dict[str, Any]
    end_s: Any  # None: not told
    is_word: bool


def _parts(document: Any) -> list[Any] | None:
    segments = dicts(inside(document, "segments"))
    if not any(one.keys() >= _KEYS for one in segments or ()):
        return None
    bodies = [one["body"].strip() for one in segments or () if isinstance(one.get("body"), str)]
    words = [body for body in bodies if len(body.split()) == 1 and not separates_no_words(body)]
    is_word = len(words) >= _WORDS * sum(map(bool, bodies)) > 0
    starts = [one.get("startTime") for one in segments or ()]
    return [
        _Part(one, following if one.get("endTime") is None else one["endTime"], is_word)
        for one, following in zip(segments or (), [*starts[1:], None], strict=True)
    ]


def _segment(part: _Part) -> Segment:
    if part.end_s is None:
        raise ValueError("has no end, and no segment follows")
    one = part.segment
    return Segment(
        float(one["startTime"]), float(part.end_s), text_of(one["body"]),
        speaker_of(one.get("speaker")), is_word=part.is_word,
    )  # fmt: skip


SERVICE = Service("podcast", "podcast transcript JSON", _parts, _segment)
