"""LJSpeech: `metadata.csv` without a head, cells divided by `|`, and `wavs/`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from moontune.importing.audio_files import NotFoundError
from moontune.importing.tables.columns import plain
from moontune.importing.tables.delimited import Dialect, read_records
from moontune.importing.tables.table_rows import file_row
from moontune.importing.tables.texts import say_the_same
from moontune.importing.text_files import read_text
from moontune.importing.values import BAD_ROW, Format, Found, Place, Recognised, SourceRow, left_out

_TABLE, _CLIPS = "metadata.csv", "wavs"
_LOOKED_AT = 200  # rows


def _folder(place: Place) -> Recognised | None:
    table = place.path / _TABLE
    if not (table.is_file() and (place.path / _CLIPS).is_dir()):
        return None
    rows = [line.split("|") for line in read_text(table).text.lstrip("\ufeff").splitlines()]
    first = rows[0] if rows else []
    if len(first) not in (2, 3) or plain(first[0]) in ("file_name", "path", "audio"):
        return None
    if not _says_the_same(rows[:_LOOKED_AT]):
        return None
    try:
        place.finder.find(first[0], place.path / _CLIPS)
    except NotFoundError:
        return None
    told = ("audio: column 1", "text: column 3, with numbers as words, else column 2")
    return Recognised("ljspeech", place.path, (partial(_rows, place),), told)


def _says_the_same(rows: list[list[str]]) -> bool:
    """Whether the third column is the second in other words, and not who speaks, or the reverse."""
    return say_the_same([(row[1], row[2]) for row in rows if len(row) == 3 and row[2].strip()])


def _rows(place: Place) -> Iterator[Found]:
    file, name = place.path / _TABLE, place.name_of(place.path / _TABLE)
    for line, cells in read_records(read_text(file).text, Dialect("|", quoted=False)):
        where = f"{name}:{line}"
        if not any(cells):
            continue
        if len(cells) < 2:
            yield left_out(where, str(cells[0]), BAD_ROW, "has no | between name and text")
            continue
        text = next((cell for cell in reversed(cells[1:3]) if cell and cell.strip()), "")

        def make(path, clip, where=where, text=text):
            return SourceRow(where, text.strip(), path, clip)

        yield file_row(place, place.path / _CLIPS, str(cells[0]), text, where, make)


FORMAT = Format(
    "ljspeech", "LJSpeech", "metadata.csv of NAME|text|text and a folder wavs/", _folder
)
