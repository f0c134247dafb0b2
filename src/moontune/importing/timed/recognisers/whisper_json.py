"""JSON of Whisper and its like: whisper, whisperx, faster-whisper, whisper.cpp, transformers.

All have a list of segments with begin, end and text. Where words have times, these are the finer
ones: a segment begins with its first word and ends with its last, if these have theirs.
"""

from __future__ import annotations

from typing import Any

from moontune.importing.timed.recognisers.documents import (
    Segment,
    Service,
    Word,
    dicts,
    speaker_of,
    text_of,
)

_LISTS = ("segments", "chunks", "transcription")
_TIMES = ("start", "timestamp", "timestamps", "offsets")


def _parts(document: Any) -> list[Any] | None:
    lists = document if isinstance(document, dict) else {}
    if not any(lists.get(name) for name in _LISTS) and (words := _of_words(lists)) is not None:
        return words
    found = next((lists[name] for name in _LISTS if isinstance(lists.get(name), list)), document)
    if not (isinstance(found, list) and found and isinstance(found[0], dict)):
        return None
    if "text" in found[0] and any(name in found[0] for name in _TIMES):
        return found
    return None


def _of_words(document: dict[str, Any]) -> list[Any] | None:
    """What OpenAI gives where times of words alone are asked for: these without marks, and the
    text, whose words they are where it has as many."""
    words = dicts(document.get("words"))
    if not words or not words[0].keys() >= {"word", "start", "end"} or "text" not in document:
        return None
    written = text_of(document["text"]).split()
    alike = len(written) == len(words)
    return [{**w, "text": written[i] if alike else w["word"]} for i, w in enumerate(words)]


def _segment(segment: dict[str, Any]) -> Segment:
    start, end = _times(segment)
    words = [w for w in segment.get("words") or () if isinstance(w, dict)]
    timed = [
        Word(float(w["start"]), float(w["end"]), text_of(w.get("word") or w.get("text")))
        for w in filter(_is_timed, words)
    ]
    if timed:
        start = timed[0].start_s if _is_timed(words[0]) else min(start, timed[0].start_s)
        end = timed[-1].end_s if _is_timed(words[-1]) else max(end, timed[-1].end_s)
    if "word" in segment:  # one, of those that are asked for alone
        return Segment(start, end, text_of(segment["text"]), is_word=True)
    whole = timed if len(timed) == len(words) else ()
    text = text_of(segment["text"])
    return Segment(start, end, text, speaker_of(segment.get("speaker")), words=whole)


def _is_timed(word: dict[str, Any]) -> bool:
    return word.get("start") is not None and word.get("end") is not None


def _times(segment: dict[str, Any]) -> tuple[float, float]:
    if "start" in segment:
        start = float(segment["start"])
        if "end" not in segment and "duration" in segment:  # youtube-transcript-api
            return start, start + float(segment["duration"])
        return start, float(segment["end"])
    if "timestamp" in segment:  # transformers: the last may have no end
        start, end = segment["timestamp"]
        if end is None:
            raise ValueError("has no end")
        return float(start), float(end)
    offsets = segment["offsets"]  # whisper.cpp: milliseconds
    return float(offsets["from"]) / 1000, float(offsets["to"]) / 1000


SERVICE = Service("whisper", "Whisper JSON", _parts, _segment)
