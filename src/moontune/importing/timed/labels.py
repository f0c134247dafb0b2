"""Audacity's labels: a line of begin, end and text, divided by tabs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from moontune.importing.text_files import lines_of, read_text
from moontune.importing.timed.captions import Caption, Captioned, TimedKind, tidy
from moontune.importing.values import BAD_ROW, Place, left_out

_NUMBER = r"\d+(?:[.,]\d+)?"
_LABEL = re.compile(rf"({_NUMBER})\t({_NUMBER})(?:\t(.*))?")
_MOST_BYTES = 50_000_000


def is_labels(path: Path) -> bool:
    """Whether a text file's first lines are labels."""
    if path.stat().st_size > _MOST_BYTES:
        return False
    lines = [line for _, line in _lines(path)][:5]
    return bool(lines) and all(_LABEL.fullmatch(line) for line in lines)


def read_labels(path: Path, place: Place) -> list[Captioned]:
    """The captions of a file of labels. Raises DamagedSourceError."""
    captions, left = [], []
    for number, line in _lines(path):
        where = f"{place.name_of(path)}:{number}"
        if (label := _LABEL.fullmatch(line)) is None:
            left.append(left_out(where, line[:60], BAD_ROW, "is no label of begin, end and text"))
            continue
        start, end = (float(label[i].replace(",", ".")) for i in (1, 2))
        captions.append(Caption(where, start, end, tidy(label[3] or "")))
    return [Captioned(tuple(captions), left_out=tuple(left))]


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines, without those of the frequencies that a label may have (`\\\\ 100 200`)."""
    for number, line in enumerate(lines_of(read_text(path).text), start=1):
        if line.strip() and not line.startswith("\\"):
            yield number, line


LABELS = TimedKind("labels", "Audacity labels", (".txt",), read_labels, is_labels)
