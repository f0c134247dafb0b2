"""Soniox' JSON: `tokens`, which are parts of words; milliseconds.

https://soniox.com/docs/stt/async/async-transcription: a token with a space before it begins a word,
and so does each in scripts without spaces. Translations are tokens too, without a time; of sounds
nobody says a word. The older API has `words`, which are tokens and spaces.
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

_KEYS = {"text", "start_ms"}


@dataclass
class _Word:
    start_ms: Any
    end_ms: Any
    text: str
    speaker: Any


def _parts(document: Any) -> list[Any] | None:
    tokens = dicts(inside(document, "tokens")) or dicts(inside(document, "words"))
    if not any(one.keys() >= _KEYS for one in tokens or ()):
        return None
    words: list[_Word] = []
    apart = True  # the next token is of another word
    for token in tokens or ():
        if _is_no_speech(token):
            continue
        text, who = text_of(token.get("text")), token.get("speaker")
        begins = text[:1].isspace() or separates_no_words(text)
        if text.strip() and (apart or begins or not words or who != words[-1].speaker):
            words.append(_Word(token.get("start_ms"), _end(token), text.strip(), who))
        elif text.strip():
            words[-1].text += text.strip()
            words[-1].end_ms = _end(token)
        apart = text[-1:].isspace()
    return words


def _is_no_speech(token: dict[str, Any]) -> bool:
    """Whether it is a translation, a sound, a mark of the stream's, or said again later."""
    sound = token.get("is_audio_event") is True or text_of(token.get("text")) in ("<end>", "<fin>")
    translated = token.get("translation_status") == "translation"
    return sound or translated or token.get("is_final") is False


def _end(token: dict[str, Any]) -> Any:
    if "end_ms" not in token and "duration_ms" in token:
        return token["start_ms"] + token["duration_ms"]
    return token.get("end_ms")


def _segment(word: _Word) -> Segment:
    times = float(word.start_ms) / 1000, float(word.end_ms) / 1000
    return Segment(*times, word.text, speaker_of(word.speaker or None), is_word=True)


SERVICE = Service("soniox", "Soniox JSON", _parts, _segment)
