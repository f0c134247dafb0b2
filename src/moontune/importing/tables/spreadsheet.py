"""Sheets of an Excel file (.xlsx) as rows of cells."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from moontune.importing.tables.columns import Cell
from moontune.importing.tables.merged import MergedCell
from moontune.importing.values import DamagedSourceError

LARGEST_BYTES = 2**30  # of all that is packed in the file
_MOST_CELLS = 200  # of a row
_DOWN = re.compile(r"([A-Z]{1,3})(\d{1,7}):[A-Z]{1,3}(\d{1,7})")  # B2:C5


@dataclass(frozen=True)
class Sheet:
    """A sheet's rows, and what the file says of how they are shown."""

    title: str
    records: list[tuple[int, Sequence[Cell]]]  # numbered as Excel does
    hidden: frozenset[int] = frozenset()  # rows that a filter or somebody has hidden
    merged: tuple[MergedCell, ...] = ()


def sheets_of(path: Path) -> Iterator[Sheet]:
    """The sheets of a file. Raises DamagedSourceError.

    Of a formula, the value that was saved with it is read; nothing is computed. A cell that is one
    over several rows has its value in each; rows in a group that is folded are not hidden.
    """
    import openpyxl

    _check_size(path)
    try:
        with warnings.catch_warnings(), zipfile.ZipFile(path) as packed:
            warnings.simplefilter("ignore")  # on styles and extensions that are not read
            book = openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False)
            try:
                for sheet in book.worksheets:
                    sheet.reset_dimensions()  # of which some programs write too few
                    rows = sheet.iter_rows(values_only=True, max_col=_MOST_CELLS)
                    table = _to_last(rows)
                    hidden, ranges = _shown(packed, vars(sheet)["_worksheet_path"])
                    filled = [any(row) for row in table]
                    merged = [_fill(table, one, filled) for one in ranges]
                    cells = tuple(cell for cell in merged if cell is not None)
                    yield Sheet(sheet.title, _as_wide(table), hidden, cells)
            finally:
                book.close()
    except DamagedSourceError:
        raise
    except Exception as error:  # openpyxl raises whatever its parts do
        raise DamagedSourceError(
            f"{path}: cannot be read as an Excel file ({type(error).__name__}); save it again as "
            ".xlsx or .csv"
        ) from error


def _shown(packed: zipfile.ZipFile, name: str) -> tuple[frozenset[int], list[str]]:
    """Hidden rows and merged cells of a sheet, which openpyxl does not tell of what it streams."""
    hidden, ranges, number = set(), [], 0
    with packed.open(name) as file:
        for _, element in ElementTree.iterparse(file):
            kind = element.tag.rsplit("}", 1)[-1]
            if kind == "row":
                number = int(element.get("r") or number + 1)
                folded = int(element.get("outlineLevel") or 0) > 0
                if element.get("hidden") in ("1", "true") and not folded:
                    hidden.add(number)
            elif kind == "mergeCell":
                ranges.append(element.get("ref") or "")
            if kind in ("row", "mergeCell"):
                element.clear()
    return frozenset(hidden), ranges


def _fill(table: list[list[Cell]], merged: str, filled: Sequence[bool]) -> MergedCell | None:
    """Write the value of a merged cell in the rows below it that have others; None where there are
    none."""
    if (found := _DOWN.fullmatch(merged)) is None:
        return None
    column = 0
    for letter in found[1]:
        column = 26 * column + ord(letter) - ord("A") + 1
    first, last = int(found[2]), min(int(found[3]), len(table))
    head = table[first - 1] if first <= last else []
    rows = [row for row, has in zip(table[first:last], filled[first:last], strict=True) if has]
    if len(head) < column or not head[column - 1]:
        return None
    for row in rows:
        row += [None] * (column - len(row))
        row[column - 1] = head[column - 1]
    return MergedCell(column - 1, first, last) if rows else None


def _check_size(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as packed:
            size = sum(member.file_size for member in packed.infolist())
    except (OSError, zipfile.BadZipFile):
        raise DamagedSourceError(
            f"{path}: is no Excel file (.xlsx), or a damaged one; save it again as .xlsx or .csv"
        ) from None
    if size > LARGEST_BYTES:
        raise DamagedSourceError(f"{path}: unpacks to over 1 GB; save the table as .csv")


def _as_wide(rows: list[list[Cell]]) -> list[tuple[int, Sequence[Cell]]]:
    """Numbered rows, all with as many cells as the widest: an empty one at the end is no less."""
    width = max(map(len, rows), default=0)
    return [(n, [*row, *[None] * (width - len(row))]) for n, row in enumerate(rows, start=1)]


def _to_last(rows: Iterable[Sequence[Any]]) -> list[list[Cell]]:
    """Rows up to the last that has a cell: a million behind it may only have a style."""
    table: list[list[Cell]] = []
    empty = 0
    for row in rows:
        if cells := _trimmed(row):
            table += [[] for _ in range(empty)]
            table.append(cells)
        empty = 0 if cells else empty + 1
    return table


def _trimmed(row: Sequence[Any]) -> list[Cell]:
    if row.count(None) == len(row):
        return []
    cells = [_text(value) for value in row]
    while cells and not cells[-1]:
        cells.pop()
    return cells


def _text(value: Any) -> Cell:
    """A cell as text; of a whole number without its `.0`, of a day in ISO's form."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime) and value.time() == time():
        return value.date().isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value)
