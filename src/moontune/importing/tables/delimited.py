"""CSV, TSV and the like: delimiter and quotes found by what makes a table of the text."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from moontune.importing.tables.columns import Cell, head_width

Records = list[tuple[int, Sequence[Cell]]]
_DELIMITERS = ("\t", ";", ",", "|")
_SAMPLE = 20_000  # characters that the delimiter is found by
_LOOKED_AT = 500  # rows that are looked at for sentences without quotes
_LONGEST_CELL = 2**20  # characters; what is longer begins with a quote that nobody closed


@dataclass(frozen=True)
class Dialect:
    """How cells are divided."""

    delimiter: str
    quoted: bool

    @property
    def in_words(self) -> str:
        """`cells divided by tabs`, `cells divided by ;`."""
        return f"cells divided by {'tabs' if self.delimiter == chr(9) else self.delimiter}"


def dialects_of(text: str) -> list[Dialect]:
    """The ways in which a text is a table of two columns or more, the most regular first."""
    sample = text[:_SAMPLE]
    if len(text) > _SAMPLE:
        sample = sample[: sample.rfind("\n") + 1] or sample
    rated = []
    for delimiter in _DELIMITERS:
        ways = [(_regular(sample, d), d) for q in (True, False) if (d := Dialect(delimiter, q))]
        best, dialect = max(ways, key=lambda way: way[0])
        if best > 0:
            rated.append((best, dialect))
    return [dialect for _, dialect in sorted(rated, key=lambda r: -r[0])]


def read_records(text: str, dialect: Dialect, escape: str | None = None) -> Records:
    """Rows of cells, each with the line it begins in. A quote that is never closed is a character.

    Raises csv.Error where a cell with quotes is longer than any text.
    """
    records: Records = []
    before = csv.field_size_limit(_LONGEST_CELL if dialect.quoted else len(text) + 1)
    try:
        reader = csv.reader(
            io.StringIO(text, newline=""),
            delimiter=dialect.delimiter,
            quoting=csv.QUOTE_MINIMAL if dialect.quoted else csv.QUOTE_NONE,
            escapechar=escape,
            strict=dialect.quoted,
        )
        line = 1
        for cells in reader:
            records.append((line, cells))
            line = reader.line_num + 1
    finally:
        csv.field_size_limit(before)
    return records


def table_of(text: str, dialect: Dialect) -> Records:
    """Rows of cells; with quotes read as any character where they are not those of a table.

    A delimiter before a space is one of a sentence, where a row has as many cells too many.
    """
    text = text.replace("\0", "")
    try:
        records = read_records(text, dialect)
    except csv.Error:
        records = read_records(text, Dialect(dialect.delimiter, quoted=False))
    width = _width_of_whole(records[:_LOOKED_AT], dialect.delimiter)
    for i, (line, cells) in enumerate(records):
        if width is not None and len(cells) > width:
            records[i] = line, _sentences_whole(cells, width, dialect.delimiter)
    return records


def _width_of_whole(sample: Records, delimiter: str) -> int | None:
    """How many cells a row has whose sentences are whole: those of the head, or as many as make the
    rows most alike. None where a space before a cell is only how the table is written, and where
    most rows have another width also with their sentences whole."""
    width = head_width([cells for _, cells in sample]) or _usual(sample)
    if width is None or _written_with_spaces(sample, width):
        return None
    whole = [(line, _sentences_whole(cells, width, delimiter)) for line, cells in sample]
    return width if _commonest(whole)[0] == width else None


def _usual(sample: Records) -> int | None:
    """The width of a table without a head: with all cells joined that begin with a space, where the
    rows are more alike then."""
    joined: Records = [
        (line, [cell for i, cell in enumerate(cells) if i == 0 or not _goes_on(cell)])
        for line, cells in sample
    ]
    width = _commonest(joined if _alike(joined) > _alike(sample) else sample)[0]
    return width if width > 1 else None


def _written_with_spaces(sample: Records, width: int) -> bool:
    """Whether rows of the right width have a space before the cells of a column."""
    rows = [cells for _, cells in sample if len(cells) == width][1:]  # without the head
    spaced = (sum(_goes_on(row[i]) for row in rows) for i in range(1, width))
    return any(2 * count >= len(rows) for count in spaced if rows)


def _sentences_whole(cells: Sequence[Cell], width: int, delimiter: str) -> Sequence[Cell]:
    """Cells, each that goes on with a sentence joined to the one before; as they are where these
    are not just as many as the row has too many."""
    if sum(map(_goes_on, cells[1:])) != len(cells) - width:
        return cells
    joined = [cells[0]]
    for cell in cells[1:]:
        if _goes_on(cell):
            joined[-1] = f"{joined[-1]}{delimiter}{cell}"
        else:
            joined.append(cell)
    return joined


def _goes_on(cell: Cell) -> bool:
    """Whether a cell may be the next words of the sentence before it."""
    return bool(cell) and cell[0] == " " and not cell.isspace()


def stand_quoted(cells: Sequence[str], text: str, dialect: Dialect) -> bool:
    """Whether the first cells of a table's column stand between quotes in its text: all that need
    it, or where none does all others."""
    need = [cell for cell in cells if dialect.delimiter in cell] or cells
    start = text[: _SAMPLE * 10]
    quoted = ('"{}"'.format(cell.replace('"', '""')) in start for cell in need)
    return dialect.quoted and bool(need) and all(quoted)


def _regular(sample: str, dialect: Dialect) -> float:
    try:
        return _alike(read_records(sample, dialect))
    except csv.Error:
        return 0.0


def _alike(records: Records) -> float:
    """The share of rows that have as many cells as most have; 0 where that is one."""
    width, share = _commonest(records)
    return 0.0 if width < 2 else share


def _commonest(records: Records) -> tuple[int, float]:
    """The width that most rows have, and their share; 0 where all are empty."""
    counts = Counter(len(cells) for _, cells in records if any(cells))
    if not counts:
        return 0, 0.0
    width, rows = max(counts.items(), key=lambda item: (item[1], item[0]))
    return width, rows / counts.total()
