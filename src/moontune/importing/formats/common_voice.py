"""Common Voice: `validated.tsv` with `client_id`, `path` and `sentence`, and `clips/`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from moontune.importing.tables.columns import Columns
from moontune.importing.tables.delimited import Dialect, read_records
from moontune.importing.tables.table_rows import Table, rows_of
from moontune.importing.text_files import read_text
from moontune.importing.values import Format, Found, Place, Recognised

_HEADS = ("client_id", "path", "sentence")
_PARTS = (("validated.tsv",), ("train.tsv", "dev.tsv", "test.tsv"))


def _folder(place: Place) -> Recognised | None:
    for names in _PARTS:
        files = [place.path / name for name in names if _is_one(place.path / name)]
        if files:
            return _recognised(place, files)
    return None


def _file(place: Place) -> Recognised | None:
    return _recognised(place, [place.path]) if _is_one(place.path) else None


def _is_one(path: Path) -> bool:
    try:
        with open(path, "rb") as file:
            head = file.readline(10_000).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return False
    return set(_HEADS) <= set(re.split(r"[\t\r\n]", head))


def _recognised(place: Place, files: list[Path]) -> Recognised:
    taken = tuple(place.name_of(file) for file in files)
    told = (f"rows: {', '.join(taken)}", 'audio: "path"', 'text: "sentence"')
    parts = tuple(partial(_rows, place, file) for file in files)
    return Recognised("common-voice", place.path, parts, (*told, 'speaker: "client_id"'))


def _rows(place: Place, file: Path) -> Iterator[Found]:
    # As its own tool writes it: no quotes, and a backslash before what would divide cells.
    records = read_records(read_text(file).text, Dialect("\t", quoted=False), escape="\\")
    heads = tuple(str(cell) for cell in records[0][1])
    speaker, audio, text = (heads.index(name) for name in _HEADS)
    columns = Columns(heads, True, audio, text, speaker=speaker)
    return rows_of(Table(place.name_of(file), file.parent, records, "\t"), columns, place)


FORMAT = Format(
    "common-voice",
    "Common Voice",
    "validated.tsv (else train, dev and test.tsv) with client_id, path and sentence",
    _folder,
    _file,
    (".tsv",),
)
