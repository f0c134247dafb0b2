"""Sonix' JSON: `transcript`, what a speaker says at a time, of `words`; seconds.

As https://api.sonix.ai/v1/media/ID/transcript.json answers, by programs that read it. Words have
their marks, and the text is what they say.
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
from moontune.languages.words import COMMAS, ENDS, joined_lines

_MARKS = {*COMMAS, *ENDS}
_KEYS = {"text", "start_time", "end_time"}


def _parts(document: Any) -> list[Any] | None:
    turns = dicts(inside(document, "transcript"))
    known = [dicts(turn.get("words")) for turn in turns or ()]
    if not any(words and words[0].keys() >= _KEYS for words in known):
        return None
    return turns


def _segment(turn: dict[str, Any]) -> Segment:
    rows = [(w, text_of(w["text"]).strip(), _is_mark(w)) for w in turn["words"]]
    words = [
        Word(float(word["start_time"]), float(word["end_time"]), text)
        for word, text in with_marks(rows)
    ]
    if not words:
        raise ValueError("has no words")
    text = joined_lines(word.text for word in words)
    who = speaker_of(turn.get("speaker"))
    return Segment(words[0].start_s, words[-1].end_s, text, who, words=words)


def _is_mark(word: dict[str, Any]) -> bool:
    text = text_of(word["text"]).strip()
    return bool(text) and set(text) <= _MARKS


SERVICE = Service("sonix", "Sonix JSON", _parts, _segment)
