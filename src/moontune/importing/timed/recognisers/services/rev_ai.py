"""Rev's JSON, of its program and of its people: `monologues` of `elements`; seconds.

https://docs.rev.ai/api/asynchronous/transcripts/: elements are words, with times where these are
known, marks and spaces between them, and what was not understood. A word without times is said
between the one before it and the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from moontune.importing.timed.recognisers.documents import (
    Segment,
    Service,
    dicts,
    inside,
    speaker_of,
)


@dataclass
class _Word:
    """A word with times, and those without that stand beside it."""

    start_s: float | None
    end_s: float | None
    text: str
    who: str | None
    after: bool = False  # others, whose times are not known, stand before it
    before: bool = False  # or behind


def _parts(document: Any) -> list[Any] | None:
    monologues = dicts(inside(document, "monologues"))
    if not any(dicts(one.get("elements")) for one in monologues or ()):
        return None
    names = {one.get("id"): one.get("name") for one in dicts(inside(document, "speakers")) or ()}
    words: list[_Word] = []
    for monologue in monologues or ():
        for word in _words(monologue, _name(monologue, names)):
            _meet(words[-1] if words else _Word(0.0, 0.0, "", None), word)
            words.append(word)
    if words and words[-1].before:
        words[-1].end_s = None
    return words


def _name(monologue: dict[str, Any], names: dict[Any, Any]) -> str | None:
    speaker = monologue.get("speaker")
    told = speaker if isinstance(speaker, dict) else monologue.get("speaker_info") or {}
    number = told.get("id") if isinstance(speaker, dict) else speaker
    return speaker_of(told.get("display_name") or told.get("name") or names.get(number) or number)


def _words(monologue: dict[str, Any], who: str | None) -> Iterator[_Word]:
    """The words of a monologue that have times, each with what stands up to the next."""
    word, first = None, ""
    for element in dicts(monologue.get("elements")) or ():
        text, kind = str(element.get("value") or ""), element.get("type")
        if kind == "unknown":
            text = f" [{text.strip('<>[] ') or 'inaudible'}] "
        if kind == "text" and element.get("ts") is not None:
            if word is not None:
                yield word
            times = _time(element["ts"]), _time(element.get("end_ts"))
            word, first = _Word(*times, first + text, who, after=bool(first.strip())), ""
        elif word is None:
            first += text
        else:
            word.text += text
            word.before = word.before or kind == "text"
    if word is not None or first.strip():
        yield word or _Word(None, None, first, who)


def _time(value: Any) -> float | None:
    """None where it is none, which makes a bad row of its word alone."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _meet(last: _Word, word: _Word) -> None:
    """Words without times are said up to the next one's begin, or from the last one's end on."""
    if word.start_s is None or last.end_s is None:
        return
    if last.before:
        last.end_s = max(last.end_s, word.start_s)
    if word.after:
        word.start_s = min(last.end_s, word.start_s)


def _segment(word: _Word) -> Segment:
    if word.start_s is None or word.end_s is None:
        raise ValueError("has no times")
    return Segment(word.start_s, word.end_s, word.text, word.who, is_word=True)


SERVICE = Service("rev-ai", "Rev JSON", _parts, _segment)
