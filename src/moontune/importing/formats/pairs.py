"""Pairs of a recording and its text: `a.wav` and `a.txt`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from moontune.importing.tables.table_rows import clip_name
from moontune.importing.text_files import read_text
from moontune.importing.timed.beside import beside
from moontune.importing.timed.captions import tidy
from moontune.importing.values import NO_TEXT, Format, Found, Place, Recognised, SourceRow, left_out


def _folder(place: Place) -> Recognised | None:
    pairs = beside(place.path).plain
    if not pairs:
        return None
    part = partial(_rows, place, pairs)
    return Recognised("pairs", place.path, (part,), whole=False)


def _rows(place: Place, pairs: tuple[tuple[Path, Path], ...]) -> Iterator[Found]:
    for recording, file in pairs:
        where, name = place.name_of(file), clip_name(place, recording)
        text = tidy(read_text(file).text)
        if text:
            yield SourceRow(where, text, recording, name)
        else:
            yield left_out(where, name, NO_TEXT, "the text is empty")


FORMAT = Format("pairs", "pairs", "a.wav and a.txt of the same name", _folder)
