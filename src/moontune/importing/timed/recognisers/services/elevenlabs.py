"""ElevenLabs' JSON: `words` of words, spaces and sounds; seconds.

https://elevenlabs.io/docs/api-reference/speech-to-text/convert: speakers are `speaker_0`; of
several channels `transcripts` has one each.
"""

from __future__ import annotations

from typing import Any

from moontune.importing.timed.recognisers.documents import (
    Segment,
    Service,
    dicts,
    inside,
    speaker_of,
    text_of,
)


def _parts(document: Any) -> list[Any] | None:
    transcripts = dicts(inside(document, "transcripts")) or [document]
    lists = [(one, dicts(inside(one, "words"))) for one in transcripts]
    if not any(words and {"text", "start", "type"} <= words[0].keys() for _, words in lists):
        return None
    return [
        {**word, "channel": inside(one, "channel_index")}
        for one, words in lists
        for word in words or ()
        if word.get("type") == "word"
    ]


def _segment(part: dict[str, Any]) -> Segment:
    times = float(part["start"]), float(part["end"])
    who, channel = speaker_of(part.get("speaker_id")), part["channel"]
    return Segment(*times, text_of(part["text"]), who, channel, is_word=True)


SERVICE = Service("elevenlabs", "ElevenLabs JSON", _parts, _segment)
