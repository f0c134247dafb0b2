"""AssemblyAI's JSON: `utterances` where speakers are told apart, else `words`; milliseconds.

https://www.assemblyai.com/docs/api-reference/transcripts/get: speakers are letters, of
several channels each with the channel's number before it. What asks for `/sentences` or
`/paragraphs` gets a list of these.
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

_LISTS = ("utterances", "sentences", "paragraphs", "words")
_KEYS = {"start", "end", "text", "confidence"}


def _parts(document: Any) -> list[Any] | None:
    if not isinstance(document, dict):
        return None
    for name in _LISTS:
        found = dicts(document.get(name))
        if found and found[0].keys() >= _KEYS and all(map(_in_ms, found)):
            return [{**one, "is_word": name == "words"} for one in found]
    return None


def _in_ms(part: dict[str, Any]) -> bool:
    """Whether times, where there are any, are whole milliseconds: seconds have parts."""
    times = [time for time in (part.get("start"), part.get("end")) if time is not None]
    return all(isinstance(time, int) and not isinstance(time, bool) for time in times)


def _segment(part: dict[str, Any]) -> Segment:
    start, end = part["start"] / 1000, part["end"] / 1000
    words = [
        Word(w["start"] / 1000, w["end"] / 1000, text_of(w["text"]))
        for w in part.get("words") or ()
    ]
    channel, who = part.get("channel"), part.get("speaker")
    if channel is not None and isinstance(who, str):
        who = who.removeprefix(str(channel))
    return Segment(
        start, end, text_of(part["text"]), speaker_of(who),
        int(channel) - 1 if channel is not None else None, words, part["is_word"],
    )  # fmt: skip


SERVICE = Service("assemblyai", "AssemblyAI JSON", _parts, _segment)
