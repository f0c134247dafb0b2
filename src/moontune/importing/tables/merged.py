"""Rows of one recording: a cell of audio that is merged over several rows of Excel.

Who merges it writes in each row a part of what is said in the recording, so the texts are joined.
Where they are alike they may be several people's versions of one text, and none is taken.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from moontune.data.rows.empty_texts import SPELLINGS
from moontune.importing.tables.columns import Cell, Columns, cell_at
from moontune.importing.tables.delimited import Records
from moontune.languages.words import joined_lines, written_words
from moontune.system.formatting import counted

_ALIKE = 0.6  # of the words of two texts


@dataclass(frozen=True)
class MergedCell:
    """A cell that is one over several rows."""

    column: int  # from 0
    first: int  # row, as Excel numbers them
    last: int


@dataclass(frozen=True)
class Joined:
    """A sheet's rows, those of one recording as one."""

    records: Records
    several: frozenset[int] = frozenset()  # rows whose texts may be versions of one
    told: tuple[str, ...] = ()


def joined(
    records: Records, merged: Sequence[MergedCell], columns: Columns, hidden: Collection[int]
) -> Joined:
    """Rows with those as one whose audio is one cell, and that have no times."""
    of_row = {
        row: number
        for number, cell in enumerate(merged)
        if cell.column == columns.audio
        for row in range(cell.first, cell.last + 1)
    }
    rows: list[tuple[int, Sequence[Cell]]] = []
    several: set[int] = set()
    done = 0
    for number, group in itertools.groupby(records, lambda record: of_row.get(record[0])):
        there = [*group]
        said = [r for r in there if r[0] not in hidden and _text(r[1], columns)]
        texts = {_text(cells, columns) for _, cells in said}  # one may be a merged cell too
        if number is None or len(texts) < 2 or any(_is_timed(cells, columns) for _, cells in said):
            rows += there
        elif _alike([_text(cells, columns) for _, cells in said]):
            several.update(line for line, _ in said)
            rows += there
        else:
            rows += [r for r in there if r[0] in hidden]
            rows.append((said[0][0], _one([cells for _, cells in said], columns)))
            done += 1
    told = []
    if done:
        told.append(f"joined: the texts beside {counted(done, 'merged cell')} of audio")
    if several:
        remedy = "keep one row of each recording, or split the cell and name the audio in each"
        told.append(
            f"left out: {counted(len(several), 'row')} beside merged cells of audio, whose texts "
            f"are alike, {remedy}"
        )
    return Joined(rows, frozenset(several), tuple(told))


def _text(cells: Sequence[Cell], columns: Columns) -> str:
    texts = (cell_at(cells, at) for at in (columns.text, columns.text_else))
    return next((text for text in texts if text and text not in SPELLINGS), "")


def _is_timed(cells: Sequence[Cell], columns: Columns) -> bool:
    names = ("offset", "end", "duration", "offset_ms", "end_ms", "duration_ms")
    return any(cell_at(cells, getattr(columns, name)) for name in names)


def _alike(texts: Sequence[str]) -> bool:
    """Whether two neighbours have most words in common, in their order."""
    words = [[*filter(None, map(_bare, written_words(text)))] for text in texts]
    pairs = itertools.pairwise(words)
    return any(difflib.SequenceMatcher(None, a, b, False).ratio() > _ALIKE for a, b in pairs)


def _bare(word: str) -> str:
    return "".join(filter(str.isalnum, word.casefold()))


def _one(rows: Sequence[Sequence[Cell]], columns: Columns) -> list[Cell]:
    """The first row with all texts; of several speakers it is nobody's."""
    row = [*rows[0]]
    row[columns.text] = joined_lines(_text(cells, columns) for cells in rows)
    if columns.speaker is not None and len({cell_at(cells, columns.speaker) for cells in rows}) > 1:
        row[columns.speaker] = None
    return row
