"""Deepgram's JSON: `utterances`, else sentences of `paragraphs`, else `words`; seconds.

https://developers.deepgram.com/docs/pre-recorded-audio: `results.channels[].alternatives[]`, of
which the first is the likeliest, and `results.utterances` where they were asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
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


def _parts(document: Any) -> list[Any] | None:
    channels = dicts(inside(document, "results", "channels"))
    if channels is None or "alternatives" not in channels[0]:
        return None
    if utterances := dicts(inside(document, "results", "utterances")):
        return utterances
    return [one for number, channel in enumerate(channels) for one in _of_channel(channel, number)]


def _of_channel(channel: dict[str, Any], number: int) -> Iterator[dict[str, Any]]:
    paragraphs = dicts(inside(channel, "alternatives", 0, "paragraphs", "paragraphs")) or ()
    for paragraph in paragraphs:
        for sentence in dicts(paragraph.get("sentences")) or ():
            yield {"speaker": paragraph.get("speaker"), "channel": number, **sentence}
    for word in dicts(inside(channel, "alternatives", 0, "words")) or () if not paragraphs else ():
        yield {"channel": number, **word}


def _segment(part: dict[str, Any]) -> Segment:
    times = float(part["start"]), float(part["end"])
    who, channel = speaker_of(part.get("speaker")), part.get("channel")
    if "word" in part:
        return Segment(*times, _text(part), who, channel, is_word=True)
    words = [Word(float(w["start"]), float(w["end"]), _text(w)) for w in part.get("words") or ()]
    text = part["transcript"] if "transcript" in part else part["text"]
    return Segment(*times, text_of(text), who, channel, words)


def _text(word: dict[str, Any]) -> str:
    return text_of(word.get("punctuated_word") or word["word"])


SERVICE = Service("deepgram", "Deepgram JSON", _parts, _segment)
