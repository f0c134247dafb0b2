"""Google's Speech-to-Text JSON, of versions 1 and 2: words of `results[].alternatives[]`.

https://cloud.google.com/speech-to-text/docs/reference/rest/v1/speech/recognize: times are `1.500s`.
Where speakers are told apart, the last result has all words again, with their speakers.
"""

from __future__ import annotations

import re
from typing import Any

from moontune.importing.timed.recognisers.documents import (
    Segment,
    Service,
    dicts,
    inside,
    speaker_of,
    text_of,
)

_STARTS = ("startTime", "startOffset", "start_time", "start_offset")
_ENDS = ("endTime", "endOffset", "end_time", "end_offset")
_RESULT_ENDS = ("resultEndTime", "resultEndOffset", "result_end_time", "result_end_offset")
_SPEAKERS = ("speakerLabel", "speaker_label", "speakerTag", "speaker_tag")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)s")


def _parts(document: Any) -> list[Any] | None:
    results = dicts(inside(document, "results") or inside(document, "response", "results"))
    if results is None or not any(_is_of_google(result) for result in results):
        return None
    tagged = [result for result in results if _speakers(result)]
    if tagged and tagged[-1] is results[-1] and len(results) > 1 and _repeats(results):
        results = results[-1:]
    parts: list[Any] = []
    ends: dict[Any, Any] = {}  # by channel: a result without words begins where the last one ends
    for result in results:
        channel, words = _first(result, "channelTag", "channel_tag"), _words(result)
        end = _first(result, *_RESULT_ENDS)
        if words:
            parts += [{**word, "channel": channel} for word in words]
        elif text := inside(result, "alternatives", 0, "transcript"):
            parts.append({"text": text, "from": ends.get(channel), "to": end, "channel": channel})
        ends[channel] = end
    return parts


def _is_of_google(result: dict[str, Any]) -> bool:
    timed = _first(result, *_RESULT_ENDS) is not None
    return timed or any(_first(word, *_ENDS) is not None for word in _words(result))


def _words(result: dict[str, Any]) -> list[dict[str, Any]]:
    return dicts(inside(result, "alternatives", 0, "words")) or []


def _speakers(result: dict[str, Any]) -> bool:
    return any(_first(word, *_SPEAKERS) for word in _words(result))


def _repeats(results: list[dict[str, Any]]) -> bool:
    """Whether the last result has the words of those before it."""
    before = [word.get("word") for result in results[:-1] for word in _words(result)]
    again = [word.get("word") for word in _words(results[-1])]
    return not before or before == again[: len(before)]


def _first(value: dict[str, Any], *names: str) -> Any:
    return next((value[name] for name in names if value.get(name) is not None), None)


def _segment(part: dict[str, Any]) -> Segment:
    channel = int(part["channel"]) - 1 if part["channel"] else None
    if "text" in part:
        start = _seconds(part["from"] or "0s")
        return Segment(start, _seconds(part["to"]), text_of(part["text"]), None, channel)
    start = _seconds(_first(part, *_STARTS) or "0s")  # a zero is left out
    end = _seconds(_first(part, *_ENDS))
    who = _first(part, *_SPEAKERS)
    return Segment(
        start, end, text_of(part["word"]), speaker_of(who or None), channel, is_word=True
    )


def _seconds(duration: Any) -> float:
    if isinstance(duration, dict):  # as a client of an older version writes it
        return int(duration.get("seconds") or 0) + int(duration.get("nanos") or 0) / 1e9
    if (found := _DURATION.fullmatch(str(duration))) is None:
        raise ValueError(f"{str(duration)[:40]!r} is no time")
    return float(found[1])


SERVICE = Service("google-speech", "Google Speech-to-Text JSON", _parts, _segment)
