"""What `datasets` writes and loads: save_to_disk, parquet, and a folder with metadata."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from moontune.importing.audio_files import files_below
from moontune.importing.tables import arrow_files as arrow
from moontune.importing.tables.columns import Columns, choose_columns, plain
from moontune.importing.tables.delimited import dialects_of, table_of
from moontune.importing.tables.json_lines import json_objects
from moontune.importing.tables.table_rows import Table, rows_of
from moontune.importing.text_files import read_text
from moontune.importing.values import DamagedSourceError, Format, Found, Place, Recognised

_METADATA = ("metadata.csv", "metadata.jsonl")
_FILE_NAMES = ("file_name", "audio_file_name")


def _saved(place: Place) -> Recognised | None:
    """A Dataset, or a DatasetDict with a folder for each split."""
    marks = [place.path / name for name in ("state.json", "dataset_dict.json")]
    if not any(mark.is_file() for mark in marks):
        return None
    files = [f for f in files_below(place.path) if _is_saved(f)]
    columns = _columns_of(files, place, arrow.arrow_columns)
    return columns and _of_arrow("save-to-disk", place, files, columns, arrow.arrow_rows)


def _is_saved(file: Path) -> bool:
    """Whether an arrow file is of the data set, and not what `map` or `filter` left beside it."""
    return file.suffix == ".arrow" and not file.name.startswith(("cache-", "tmp"))


def _parquet_folder(place: Place) -> Recognised | None:
    files = sorted(Path(f) for f in glob.glob(f"{glob.escape(str(place.path))}/*.parquet"))
    columns = _columns_of(files, place, arrow.parquet_columns)
    return columns and _of_arrow("parquet", place, files, columns, arrow.parquet_rows)


def _parquet_file(place: Place) -> Recognised | None:
    columns = arrow.parquet_columns(place.path, place)
    return columns and _of_arrow("parquet", place, [place.path], columns, arrow.parquet_rows)


def _columns_of(
    files: list[Path], place: Place, read: Callable[[Path, Place], arrow.ArrowColumns | None]
) -> arrow.ArrowColumns | None:
    """The columns of the first file that can be read; the others are told of when they are."""
    problem: DamagedSourceError | None = None
    for file in files:
        try:
            return read(file, place)
        except DamagedSourceError as error:
            problem = problem or error
    if problem is not None:
        raise problem
    return None


def _of_arrow(
    name: str,
    place: Place,
    files: list[Path],
    columns: arrow.ArrowColumns,
    rows: Callable[[Path, arrow.ArrowColumns, Place], Iterator[Found]],
) -> Recognised:
    parts = tuple(partial(rows, file, columns, place) for file in files)
    return Recognised(name, place.path, parts, columns.in_words)


def _audiofolder(place: Place) -> Recognised | None:
    for name in _METADATA:
        file = place.path / name
        if not file.is_file():
            continue
        records = _json_table(file) if file.suffix == ".jsonl" else _csv_table(file)
        columns = _columns(records, place)
        if columns is None:
            continue
        table = Table(place.name_of(file), place.path, records)
        rows = partial(rows_of, table, columns, place)
        return Recognised("audiofolder", place.path, (rows,), columns.in_words())
    return None


def _columns(records: Sequence[tuple[int, Sequence[str | None]]], place: Place) -> Columns | None:
    if not records or not {plain(c or "") for c in records[0][1]} & {*_FILE_NAMES}:
        return None
    return choose_columns([cells for _, cells in records[:80]], place.finder, place.path)


def _csv_table(file: Path) -> list[tuple[int, Sequence[str | None]]]:
    text = read_text(file).text
    dialect = next(iter(dialects_of(text)), None)
    return table_of(text, dialect) if dialect else []


def _json_table(file: Path) -> list[tuple[int, Sequence[str | None]]]:
    objects = [(line, value) for line, value in json_objects(file)]
    heads = list(dict.fromkeys(key for _, value in objects for key in value or {}))
    rows = [
        (line, [None if (cell := (value or {}).get(h)) is None else str(cell) for h in heads])
        for line, value in objects
    ]
    return [(0, heads), *rows]


SAVED = Format(
    "save-to-disk", "saved by datasets' save_to_disk",
    "state.json or dataset_dict.json, and .arrow files", _saved,
)  # fmt: skip
PARQUET = Format(
    "parquet", "parquet", ".parquet files with a column of audio and one of text",
    _parquet_folder, _parquet_file, (".parquet",),
)  # fmt: skip
AUDIOFOLDER = Format(
    "audiofolder", "Hugging Face audiofolder", "metadata.csv or metadata.jsonl with file_name",
    _audiofolder,
)  # fmt: skip
