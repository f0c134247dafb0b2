"""Any table with a column of audio files and one of texts: CSV, TSV, and Excel's .xlsx."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from moontune.importing.audio_files import is_hidden
from moontune.importing.tables.annotators import of_annotators
from moontune.importing.tables.columns import (
    Columns,
    above_head,
    choose_columns,
    looks_like_audio,
)
from moontune.importing.tables.delimited import Records, dialects_of, stand_quoted, table_of
from moontune.importing.tables.merged import joined
from moontune.importing.tables.spreadsheet import Sheet, sheets_of
from moontune.importing.tables.table_rows import Table, rows_of
from moontune.importing.text_files import read_text
from moontune.importing.values import DamagedSourceError, Format, Place, Recognised, broken
from moontune.system.formatting import counted

_TABLES = (".csv", ".tsv", ".tab", ".psv")
_TEXTS = (*_TABLES, ".txt")  # a table only if its cells are audio's names beyond doubt
_SHEETS = (".xlsx", ".xlsm")
_REFUSED = (".xls", ".ods", ".numbers")
SUFFIXES = (*_TEXTS, *_SHEETS, *_REFUSED)
_LARGEST_TEXT = 100_000_000  # bytes of a .txt that is looked at
_SAMPLE = 80  # rows that columns are chosen by


@dataclass(frozen=True)
class _Chosen:
    """A table, its columns, and how it was read."""

    table: Table
    columns: Columns
    told: tuple[str, ...]


def _file(place: Place) -> Recognised | None:
    chosen = _tables(place)
    return _recognised(place, chosen) if chosen else None


def _folder(place: Place) -> Recognised | None:
    files = sorted(f for f in place.path.iterdir() if _is_table(f))
    chosen: list[_Chosen] = []
    damaged: list[DamagedSourceError] = []
    for file in files:
        try:
            chosen += _tables(place.at(file))
        except DamagedSourceError as error:
            damaged.append(error)
    if damaged and not chosen:
        raise damaged[0]
    return _recognised(place, chosen, damaged) if chosen else None


def _recognised(
    place: Place, chosen: list[_Chosen], damaged: Sequence[DamagedSourceError] = ()
) -> Recognised:
    told = tuple(dict.fromkeys(text for one in chosen for text in one.told))
    parts = [partial(rows_of, one.table, one.columns, place) for one in chosen]
    return Recognised("table", place.path, (*parts, *(partial(broken, e) for e in damaged)), told)


def _tables(place: Place) -> list[_Chosen]:
    suffix = place.path.suffix.lower()
    if suffix in _SHEETS:
        return _sheets(place)
    if suffix in _REFUSED:
        raise DamagedSourceError(
            f"{place.path}: is not read; open it in Excel, LibreOffice or Numbers and save or "
            "export a copy as .xlsx, or as CSV in UTF-8"
        )
    if suffix not in _TABLES and place.path.stat().st_size > _LARGEST_TEXT:
        return []
    decoded = read_text(place.path)
    best: tuple[tuple[int, int], _Chosen] | None = None
    for rank, dialect in enumerate(dialects_of(decoded.text)):
        records, passed_over = _from_head(table_of(decoded.text, dialect))
        sample = [cells for _, cells in records[:_SAMPLE]]
        columns = choose_columns(sample, place.finder, place.path.parent)
        if columns is None:
            continue
        words = (dialect.in_words, *passed_over, *([decoded.remark] if decoded.remark else []))
        body = sample[columns.has_head :]
        texts = [text for row in body if (text := _cell(row, columns.text))]
        quoted = stand_quoted(texts, decoded.text, dialect)
        name = place.name_of(place.path)
        one_each = of_annotators(records, columns, place)
        table = Table(
            name, place.path.parent, records, dialect.delimiter, quoted,
            left_out=one_each.left_out,
        )  # fmt: skip
        sure = any(looks_like_audio(_cell(row, columns.audio)) for row in sample)
        if not sure and suffix not in _TABLES:
            continue
        if best is None or (not sure, rank) < best[0]:
            told = (*columns.in_words(one_each.decided_by), *words, *one_each.told)
            best = (not sure, rank), _Chosen(table, columns, told)
    return [best[1]] if best else []


def _cell(row: object, at: int) -> str | None:
    assert isinstance(row, list)
    return row[at] if at < len(row) else None


def _sheets(place: Place) -> list[_Chosen]:
    chosen = []
    for sheet in sheets_of(place.path):
        records, passed_over = _from_head(sheet.records)
        sample = [cells for _, cells in records[:_SAMPLE]]
        columns = choose_columns(sample, place.finder, place.path.parent)
        if columns is not None:
            name = f"{place.name_of(place.path)}[{sheet.title}]"
            as_one = joined(records, sheet.merged, columns, sheet.hidden)
            passed = {*sheet.hidden, *as_one.left_out}
            one_each = of_annotators(as_one.records, columns, place, passed)
            words = columns.in_words(one_each.decided_by)
            told = (f'sheet: "{sheet.title}"', *words, *passed_over)
            table = Table(
                name, place.path.parent, as_one.records,
                hidden=sheet.hidden, left_out={**one_each.left_out, **as_one.left_out},
            )  # fmt: skip
            shown = _how_shown(sheet, records[columns.has_head :])
            chosen.append(_Chosen(table, columns, (*told, *shown, *as_one.told, *one_each.told)))
    return chosen


def _how_shown(sheet: Sheet, body: Records) -> Iterator[str]:
    """What is made of hidden rows and merged cells, in words."""
    if hidden := sum(line in sheet.hidden and any(cells) for line, cells in body):
        yield f"left out: {counted(hidden, 'hidden row')}, show them in Excel to have them"
    if sheet.merged:
        yield f"merged: {counted(len(sheet.merged), 'cell')}, whose value each of its rows has"


def _from_head(records: Records) -> tuple[Records, tuple[str, ...]]:
    """A table's rows from its head on, and in words how many stand above that."""
    above = above_head([cells for _, cells in records[:_SAMPLE]])
    said = (f"passed over: {counted(above, 'line')} above the head",) if above else ()
    return records[above:], said


def _is_table(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file() and not is_hidden(path.name)


FORMAT = Format(
    "table", "table (CSV, TSV, XLSX)", "a column of audio files and one of texts",
    _folder, _file, SUFFIXES,
)  # fmt: skip
