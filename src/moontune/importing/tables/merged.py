"""Rows of one recording: a cell of audio that is merged over several rows of Excel.

Who merges it writes in each row a part of what is said in the recording, so the texts are joined.
Where they are alike they may be several people's versions of one text, and where one of the rows is
hidden its part of what is said is missing: none is taken then.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from moontune.data.rows.empty_texts import SPELLINGS
from moontune.importing.tables.columns import Cell, Columns, cell_at
from moontune.importing.tables.delimited import Records
from moontune.importing.values import ANOTHER_TEXT, BAD_ROW
from moontune.languages.words import joined_lines, written_words
from moontune.system.formatting import counted

_ALIKE = 0.6  # of the words of two texts
_VERSIONS = "is one of several rows of a merged cell of audio, whose texts are alike"
_PARTIAL = (
    "another row of its merged cell of audio is hidden, so that a part of the text is missing"
)


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
    left_out: Mapping[int, tuple[str, str]] = field(default_factory=dict)  # lines: reason, detail
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
    alike: dict[int, tuple[str, str]] = {}
    partial: dict[int, tuple[str, str]] = {}  # of which a row is hidden
    done = 0
    for number, group in itertools.groupby(records, lambda record: of_row.get(record[0])):
        there = [*group]
        said = [r for r in there if r[0] not in hidden and _text(r[1], columns)]
        texts = {_text(cells, columns) for _, cells in said}  # one may be a merged cell too
        unseen = {_text(cells, columns) for line, cells in there if line in hidden} - texts
        if number is None or any(_is_timed(cells, columns) for _, cells in said):
            rows += there
        elif any(map(_bare, unseen)):  # and not a mark where there is no text
            partial |= {line: (BAD_ROW, _PARTIAL) for line, _ in said}
            rows += there
        elif len(texts) < 2:
            rows += there
        elif _alike([_text(cells, columns) for _, cells in said]):
            alike |= {line: (ANOTHER_TEXT, _VERSIONS) for line, _ in said}
            rows += there
        else:
            rows += [r for r in there if r[0] in hidden]
            rows.append((said[0][0], _one([cells for _, cells in said], columns)))
            done += 1
    told = []
    if done:
        told.append(f"joined: the texts beside {counted(done, 'merged cell')} of audio")
    if alike:
        remedy = "keep one row of each recording, or split the cell and name the audio in each"
        told.append(
            f"left out: {counted(len(alike), 'row')} beside merged cells of audio, whose texts "
            f"are alike, {remedy}"
        )
    if partial:
        told.append(
            f"left out: {counted(len(partial), 'row')} beside merged cells of audio of which "
            "another row is hidden, show it in Excel or delete it"
        )
    return Joined(rows, alike | partial, tuple(told))


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
