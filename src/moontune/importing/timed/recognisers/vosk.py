"""Vosk's JSON: results of words; seconds.

https://alphacephei.com/vosk/: a result is `{"result": [...], "text": "..."}`, or has
`alternatives`, the first the likeliest. Programs write a list of results, or one behind another in
one file. `vosk-transcriber` writes `monologues` of `terms`. There are no marks: a result is what
stands between two pauses. Speakers are told by vectors, not by names, and are not read.
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
    text_of,
)
from moontune.languages.words import joined_lines

_KEYS = {"start", "end", "word"}
_TERM_KEYS = {"start", "end", "text"}


def _parts(document: Any) -> list[Any] | None:
    if (monologues := dicts(inside(document, "monologues"))) is not None:
        lists = [dicts(one.get("terms")) for one in monologues]
        known = any(words and words[0].keys() >= _TERM_KEYS for words in lists)
        return [words for words in lists if words] if known else None
    results = document if isinstance(document, list) else [document]
    parts = [*_of_results(results)]
    return parts if any(isinstance(part, list) for part in parts) else None


def _of_results(results: list[Any]) -> Iterator[Any]:
    """Each result's words; its text where these are missing."""
    for result in results:
        best = inside(result, "alternatives", 0) or result
        words = dicts(inside(best, "result"))
        if words and words[0].keys() >= _KEYS:
            yield words
        elif text := inside(best, "text"):
            yield text_of(text)


def _segment(words: Any) -> Segment:
    if isinstance(words, str):
        raise ValueError("has no times of words, which SetWords(True) asks for")
    said = [
        Word(float(w["start"]), float(w["end"]), text_of(w.get("word", w.get("text"))))
        for w in words
    ]
    text = joined_lines(word.text for word in said)
    return Segment(said[0].start_s, said[-1].end_s, text, words=said)


SERVICE = Service("vosk", "Vosk JSON", _parts, _segment)
