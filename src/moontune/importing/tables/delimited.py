"""CSV, TSV and the like: delimiter and quotes found by what makes a table of the text."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from moontune.importing.tables.columns import Cell

Records = list[tuple[int, Sequence[Cell]]]
_DELIMITERS = ("\t", ";", ",", "|")
_SAMPLE = 20_000  # characters that the delimiter is found by
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

    A delimiter before a space is one of a sentence, where that makes the rows more alike.
    """
    text = text.replace("\0", "")
    try:
        records = read_records(text, dialect)
    except csv.Error:
        records = read_records(text, Dialect(dialect.delimiter, quoted=False))
    whole = [(line, _sentences_whole(cells, dialect.delimiter)) for line, cells in records]
    return whole if _alike(whole) > _alike(records) else records


def _sentences_whole(cells: Sequence[Cell], delimiter: str) -> list[Cell]:
    """Cells, each that begins with a space joined to the one before."""
    joined: list[Cell] = []
    for cell in cells:
        if joined and (cell or "").startswith(" "):
            joined[-1] = f"{joined[-1]}{delimiter}{cell}"
        else:
            joined.append(cell)
    return joined


def _regular(sample: str, dialect: Dialect) -> float:
    try:
        return _alike(read_records(sample, dialect))
    except csv.Error:
        return 0.0


def _alike(records: Records) -> float:
    """The share of rows that have as many cells as most have; 0 where that is one."""
    counts = Counter(len(cells) for _, cells in records if any(cells))
    if not counts:
        return 0.0
    width, rows = max(counts.items(), key=lambda item: (item[1], item[0]))
    return 0.0 if width < 2 else rows / counts.total()
