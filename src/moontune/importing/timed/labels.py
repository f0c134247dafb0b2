"""Audacity's labels: a line of begin, end and text, divided by tabs, or by spaces once an editor
has made them such."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from moontune.data.audio import AudioError, header_duration_s
from moontune.importing.text_files import lines_of, read_text
from moontune.importing.timed.captions import Caption, Captioned, TimedKind, tidy
from moontune.importing.values import BAD_ROW, Place, left_out
from moontune.transcribe.recordings import SUFFIXES

_NUMBER = r"\d+(?:[.,]\d+)?"
_PARTS = r"\d+[.,]\d+"
_LABEL = re.compile(rf"({_NUMBER})\t({_NUMBER})(?:\t(.*))?|({_PARTS}) +({_PARTS})(?: +(.*))?")
_LENGTH = re.compile(rf"({_NUMBER})\t(.*)")  # before the text, as ELAN may write it
_HEAD = re.compile(r"[^\d\t][^\t]*(?:\t[^\d\t][^\t]*){2,}")  # names of columns
_SAME_S = 0.002
_OF_HTK = re.compile(r"\d+\s+\d{5,}\s+\S.*")  # in units of 100 ns
_MOST_BYTES = 50_000_000
_LOOKED_AT = 5  # lines
_BEHIND_S = 1.0  # that a label may end behind its recording


def has_times(path: Path) -> bool:
    """Whether a `.lab` has labels, as HTK's, whose texts may be sounds and no words."""
    return path.suffix.lower() == ".lab" and _all_are(_OF_HTK, path)


def is_labels(path: Path) -> bool:
    """Whether a text file's first lines are labels. Of those divided by spaces, which may be said,
    there must be several, and each a stretch of the recording beside them."""
    if not _all_are(_LABEL, path):
        return False
    found = [match for line in _first(path) if (match := _LABEL.fullmatch(line))]
    return all(match[1] for match in found) or _may_be([_times(match) for match in found], path)


def _may_be(times: list[tuple[float, float]], path: Path) -> bool:
    """Whether times are of labels: they rise, and none is behind the end."""
    begins = [start for start, _ in times]
    rising = begins == sorted(begins) and begins[0] < begins[-1]
    there_s = _seconds_beside(path) or float("inf")
    return rising and all(start <= end <= there_s + _BEHIND_S for start, end in times)


def _seconds_beside(path: Path) -> float:
    """Of the recording of a text's name; 0 where there is none, or its head does not say."""
    for recording in filter(Path.is_file, map(path.with_suffix, SUFFIXES)):
        try:
            return header_duration_s(recording)
        except AudioError:
            continue
    return 0.0


def _all_are(label: re.Pattern[str], path: Path) -> bool:
    if path.stat().st_size > _MOST_BYTES:
        return False
    lines = _first(path)
    return bool(lines) and all(label.fullmatch(line) for line in lines)


def _first(path: Path) -> list[str]:
    return [line for _, line in _lines(path)][:_LOOKED_AT]


def _times(label: re.Match[str]) -> tuple[float, float]:
    start, end = (float((label[i] or label[i + 3]).replace(",", ".")) for i in (1, 2))
    return start, end


def read_labels(path: Path, place: Place) -> list[Captioned]:
    """The captions of a file of labels. Raises DamagedSourceError."""
    captions, left = [], []
    for number, line in _lines(path):
        where = f"{place.name_of(path)}:{number}"
        if (label := _LABEL.fullmatch(line)) is None:
            left.append(left_out(where, line[:60], BAD_ROW, "is no label of begin, end and text"))
            continue
        captions.append(Caption(where, *_times(label), label[3] or label[6] or ""))
    said = [replace(c, text=tidy(text)) for c, text in zip(captions, _texts(captions), strict=True)]
    return [Captioned(tuple(said), left_out=tuple(left))]


def _texts(captions: Sequence[Caption]) -> list[str]:
    """What is said, without how long it lasts where all have that."""
    lengths = [_LENGTH.fullmatch(caption.text) for caption in captions]
    if all(length and _lasts(c, length[1]) for c, length in zip(captions, lengths, strict=True)):
        return [length[2] for length in lengths if length]
    return [caption.text for caption in captions]


def _lasts(caption: Caption, length: str) -> bool:
    seconds = float(length.replace(",", "."))
    return abs(seconds - (caption.end_s - caption.start_s)) < _SAME_S


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines, without those of the frequencies that a label may have (`\\\\ 100 200`), and
    without names of columns above the first label."""
    lines = [
        (number, line)
        for number, line in enumerate(lines_of(read_text(path).text), start=1)
        if line.strip() and not line.startswith("\\")
    ]
    label = _LABEL.fullmatch(lines[1][1]) if len(lines) > 1 else None
    has_head = label is not None and label[1] and _HEAD.fullmatch(lines[0][1])
    yield from lines[1:] if has_head else lines


LABELS = TimedKind("labels", "Audacity labels", (".txt",), read_labels, is_labels)
