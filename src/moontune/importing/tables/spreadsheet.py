"""Sheets of an Excel file (.xlsx) as rows of cells."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from moontune.importing.tables.columns import Cell
from moontune.importing.values import DamagedSourceError

LARGEST_BYTES = 2**30  # of all that is packed in the file
_MOST_CELLS = 200  # of a row


def sheets_of(path: Path) -> Iterator[tuple[str, list[tuple[int, Sequence[Cell]]]]]:
    """Each sheet's name and its rows, numbered as Excel does. Raises DamagedSourceError.

    Of a formula, the value that was saved with it is read; nothing is computed.
    """
    import openpyxl

    _check_size(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on styles and extensions that are not read
            book = openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False)
            try:
                for sheet in book.worksheets:
                    rows = sheet.iter_rows(values_only=True, max_col=_MOST_CELLS)
                    yield sheet.title, _as_wide([_trimmed(row) for row in rows])
            finally:
                book.close()
    except DamagedSourceError:
        raise
    except Exception as error:  # openpyxl raises whatever its parts do
        raise DamagedSourceError(
            f"{path}: cannot be read as an Excel file ({type(error).__name__}); save it again as "
            ".xlsx or .csv"
        ) from error


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


def _trimmed(row: Sequence[Any]) -> list[Cell]:
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
