"""IBM Watson's JSON: `results` of `alternatives`, the first the likeliest, with `timestamps`;
seconds.

https://cloud.ibm.com/docs/speech-to-text?topic=speech-to-text-metadata: `timestamps` are lists of a
word, its begin and its end, which are there where they were asked for. `speaker_labels` are of
words, by their times. Results that are not final come again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
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

_HESITATES = re.compile(r"%HESITATION\b")  # where somebody says "uh"


@dataclass(frozen=True)
class _Part:
    """A result, or a word of one in which several speak."""

    text: str
    timestamps: list[Any]
    speaker: Any
    is_word: bool


def _parts(document: Any) -> list[Any] | None:
    documents = document if isinstance(document, list) else [document]
    results = [one for each in documents for one in dicts(inside(each, "results")) or ()]
    if not any(_timestamps(result) for result in results):
        return None
    labels = [one for each in documents for one in dicts(inside(each, "speaker_labels")) or ()]
    who = {(one.get("from"), one.get("to")): one.get("speaker") for one in labels}
    final = [result for result in results if result.get("final") is not False]
    return [part for result in final or results for part in _of_result(result, who)]


def _timestamps(result: dict[str, Any]) -> list[Any]:
    found = inside(result, "alternatives", 0, "timestamps")
    return found if isinstance(found, list) and all(isinstance(one, list) for one in found) else []


def _of_result(result: dict[str, Any], who: dict[Any, Any]) -> Iterator[_Part]:
    stamps = _timestamps(result)
    text = _HESITATES.sub("", text_of(inside(result, "alternatives", 0, "transcript")))
    voices = [who.get((start, end)) for _, start, end in stamps]
    if len({*voices}) <= 1:
        yield _Part(text, stamps, next(iter(voices), None), is_word=False)
        return
    for stamp, voice in zip(stamps, voices, strict=True):
        yield _Part(_HESITATES.sub("", text_of(stamp[0])), [stamp], voice, is_word=True)


def _segment(part: _Part) -> Segment:
    if not part.timestamps:
        raise ValueError("has no times")
    written = part.text.split()
    bare = [one for one in part.timestamps if not _HESITATES.fullmatch(text_of(one[0]))]
    alike = len(written) == len(bare)  # as they are written, without numbers in figures
    words = [
        Word(float(start), float(end), written[i] if alike else text_of(word))
        for i, (word, start, end) in enumerate(bare)
    ]
    start, end = float(part.timestamps[0][1]), float(part.timestamps[-1][2])
    return Segment(
        start, end, part.text, speaker_of(part.speaker), words=words, is_word=part.is_word
    )


SERVICE = Service("watson", "IBM Watson JSON", _parts, _segment)
