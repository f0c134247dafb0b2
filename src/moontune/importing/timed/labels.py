"""Audacity's labels: a line of begin, end and text, divided by tabs, or by spaces once an editor
has made them such."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from moontune.importing.text_files import lines_of, read_text
from moontune.importing.timed.captions import Caption, Captioned, TimedKind, tidy
from moontune.importing.values import BAD_ROW, Place, left_out

_NUMBER = r"\d+(?:[.,]\d+)?"
_PARTS = r"\d+[.,]\d+"
_LABEL = re.compile(rf"({_NUMBER})\t({_NUMBER})(?:\t(.*))?|({_PARTS}) +({_PARTS})(?: +(.*))?")
_OF_HTK = re.compile(r"\d+\s+\d{5,}\s+\S.*")  # in units of 100 ns
_MOST_BYTES = 50_000_000


def has_times(path: Path) -> bool:
    """Whether a `.lab` has labels, as HTK's, whose texts may be sounds and no words."""
    return path.suffix.lower() == ".lab" and _all_are(_OF_HTK, path)


def is_labels(path: Path) -> bool:
    """Whether a text file's first lines are labels."""
    return _all_are(_LABEL, path)


def _all_are(label: re.Pattern[str], path: Path) -> bool:
    if path.stat().st_size > _MOST_BYTES:
        return False
    lines = [line for _, line in _lines(path)][:5]
    return bool(lines) and all(label.fullmatch(line) for line in lines)


def read_labels(path: Path, place: Place) -> list[Captioned]:
    """The captions of a file of labels. Raises DamagedSourceError."""
    captions, left = [], []
    for number, line in _lines(path):
        where = f"{place.name_of(path)}:{number}"
        if (label := _LABEL.fullmatch(line)) is None:
            left.append(left_out(where, line[:60], BAD_ROW, "is no label of begin, end and text"))
            continue
        start, end = (float((label[i] or label[i + 3]).replace(",", ".")) for i in (1, 2))
        captions.append(Caption(where, start, end, tidy(label[3] or label[6] or "")))
    return [Captioned(tuple(captions), left_out=tuple(left))]


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines, without those of the frequencies that a label may have (`\\\\ 100 200`)."""
    for number, line in enumerate(lines_of(read_text(path).text), start=1):
        if line.strip() and not line.startswith("\\"):
            yield number, line


LABELS = TimedKind("labels", "Audacity labels", (".txt",), read_labels, is_labels)
