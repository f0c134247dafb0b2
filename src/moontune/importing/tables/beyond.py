"""Cells beyond a table's last column: a note that somebody added, or the rest of a text whose
commas have no quotes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from moontune.importing.tables.columns import Cell, Columns, looks_like_audio

_FEWEST, _MOST_VALUES = 3, 0.5  # rows, and values of a column of them, that tell what it holds


@dataclass(frozen=True)
class Places:
    """What stands in the columns behind the text, by rows that have as many cells as the table."""

    audio: int | None  # its place, where that is one of them
    values: dict[int, frozenset[str]]  # of columns that say the same again and again
    width: int

    @classmethod
    def of(cls, columns: Columns, rows: Sequence[Sequence[Cell]]) -> Places:
        """Of the rows of a table."""
        width = len(columns.heads)
        whole = [row for row in rows if len(row) == width]
        values: dict[int, frozenset[str]] = {}
        for place in range(columns.text + 1, width) if len(whole) >= _FEWEST else ():
            counts = Counter((row[place] or "").strip() for row in whole)
            counts.pop("", None)
            if counts and len(counts) <= _MOST_VALUES * counts.total():
                values[place] = frozenset(counts)
        return cls(columns.audio if columns.audio > columns.text else None, values, width)

    def are_a_note(self, cells: Sequence[Cell]) -> bool:
        """Whether what is beyond the last column is none of the text: all else stands in its place,
        and would not if the text went on."""
        fits, sure = self._fits(cells, 0)
        extra = range(1, len(cells) - self.width + 1)
        return fits and sure and not any(self._fits(cells, by)[0] for by in extra)

    def _fits(self, cells: Sequence[Cell], by: int) -> tuple[bool, bool]:
        """Whether cells so many places further may be what the columns hold, and whether one is."""
        found: list[bool] = []
        for place, values in self.values.items():
            if cell := (cells[place + by] or "").strip():
                found.append(cell in values)
        if self.audio is not None:
            found.append(looks_like_audio(cells[self.audio + by]))
        return all(found), any(found)
