"""The rows of a table as what its source says of utterances."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from moontune.data.rows.fields import CHANNELS
from moontune.importing.audio_files import NotFoundError, is_audio
from moontune.importing.tables.columns import Cell, Columns
from moontune.importing.values import (
    BAD_ROW,
    BAD_TIMES,
    NO_AUDIO,
    NO_TEXT,
    Found,
    Place,
    SourceRow,
    left_out,
)

_EMPTY = ("nan", "NaN", "<NA>", "#N/A", "NULL")
_CLOCK = re.compile(r"(?:(\d+):)?(\d{1,3}):(\d{1,2}(?:[.,]\d+)?)")


@dataclass(frozen=True)
class Table:
    """A table's rows of cells, each with its line or row in the file."""

    name: str  # of the file, as messages have it
    folder: Path  # that paths begin at
    records: Sequence[tuple[int, Sequence[Cell]]]
    delimiter: str = ", "


def rows_of(table: Table, columns: Columns, place: Place) -> Iterator[Found]:
    """A row for each record below the head, or the reason why it is none."""
    for line, cells in table.records[1 if columns.has_head else 0 :]:
        if any(cells):
            yield _row(table, columns, place, f"{table.name}:{line}", _whole(cells, columns, table))


def _whole(cells: Sequence[Cell], columns: Columns, table: Table) -> Sequence[Cell]:
    """Cells beyond the last column belong to a text in the last one: its commas have no quotes."""
    last = len(columns.heads) - 1
    if len(cells) > last + 1 and columns.text == last:
        return [*cells[:last], table.delimiter.join(cell or "" for cell in cells[last:])]
    return cells


def _row(table: Table, columns: Columns, place: Place, where: str, cells: Sequence[Cell]) -> Found:
    def cell(at: int | None) -> str:
        return (cells[at] or "").strip() if at is not None and at < len(cells) else ""

    texts = [at for at in (columns.text, columns.text_else) if at is not None]
    named = cell(columns.audio)
    text = next(filter(None, (_unless_empty(cell(at)) for at in texts)), "")
    wanted = max(columns.audio, min(texts)) + 1
    if len(cells) < wanted:
        return left_out(where, named, BAD_ROW, f"has {len(cells)} cells, {wanted} are needed")
    if any(map(cell, range(len(columns.heads), len(cells)))):  # which its text has is not known
        detail = (
            f"has {len(cells)} cells, and the table {len(columns.heads)} columns; put a text with "
            f"{table.delimiter.strip() or 'tabs'} in it between quotes"
        )
        return left_out(where, named, BAD_ROW, detail)
    try:
        offset, seconds, channel = stretch_of(lambda name: cell(getattr(columns, name)))
    except ValueError as error:
        return left_out(where, named, reason_of(error), str(error))
    recorded = tuple((name, cell(at)) for name, at in columns.sessions if cell(at))
    return file_row(
        place, table.folder, named, text, where,
        lambda path, name: SourceRow(
            where, text, path, name, offset, seconds, channel,
            _unless_empty(cell(columns.speaker)) or None, recorded,
        ),
    )  # fmt: skip


def _unless_empty(cell: str) -> str:
    """A cell; nothing where a program wrote that it is empty."""
    return "" if cell in _EMPTY else cell


def file_row(
    place: Place,
    folder: Path,
    named: str,
    text: str,
    where: str,
    make: Callable[[Path, str], SourceRow],
) -> Found:
    """The row that `make` makes of the audio file that is named, and of the clip's name; or why
    there is none."""
    if not text.strip():
        return left_out(where, named, NO_TEXT, "the text is empty")
    try:
        path = place.finder.find(named, folder)
    except NotFoundError as error:
        return left_out(where, named, NO_AUDIO, str(error))
    return make(path, clip_name(place, path))


def clip_name(place: Place, path: Path) -> str:
    """A clip's name: its file's below the source, without the suffix."""
    name = PurePosixPath(place.name_of(path))
    return str(name.with_suffix("") if is_audio(path) else name)


def stretch_of(cell: Callable[[str], str]) -> tuple[float | None, float | None, int | None]:
    """Offset and duration, seconds, and channel of a row, by the fields' cells; a duration alone is
    that of the whole file. Raises ValueError, whose reason `reason_of` tells."""
    fields = ("offset", "end", "duration")
    offset, seconds = times(*(cell(name) or _of_ms(cell(f"{name}_ms")) for name in fields))
    return offset, seconds if offset is not None else None, _channel(cell("channel"))


def reason_of(error: ValueError) -> str:
    """Why a row whose stretch is not understood is left out."""
    return BAD_ROW if isinstance(error, _ChannelError) else BAD_TIMES


class _ChannelError(ValueError):
    """A cell that names no channel."""


def _channel(cell: str) -> int | None:
    if not cell:
        return None
    named = str(CHANNELS.get(cell.lower(), cell.removesuffix(".0")))
    if not named.isdecimal() or len(named) > 3:
        raise _ChannelError(f"channel {cell[:40]!r} is no number from 0 on, nor left or right")
    return int(named)


def _of_ms(cell: str) -> str:
    """Milliseconds as seconds. Raises ValueError."""
    try:
        return str(float(cell) / 1000) if cell else ""
    except ValueError:
        raise ValueError(f"{cell[:40]!r} is no time in milliseconds") from None


def times(offset: str, end: str, duration: str) -> tuple[float | None, float | None]:
    """Offset and duration, seconds, of three cells that may be empty. Raises ValueError."""
    start, stop, seconds = (seconds_of(cell) if cell else None for cell in (offset, end, duration))
    if stop is not None:
        start = start or 0.0
        if stop <= start:
            raise ValueError(f"ends at {stop:g} s and begins at {start:g} s")
        return start, stop - start
    return start, seconds


def seconds_of(cell: str) -> float:
    """`12.5`, `12,5`, `0:12.5` or `1:00:12` as seconds. Raises ValueError."""
    if (clock := _CLOCK.fullmatch(cell.strip())) is not None:
        hours, minutes, seconds = clock.groups()
        return 3600 * int(hours or 0) + 60 * int(minutes) + float(seconds.replace(",", "."))
    try:
        value = float(cell.replace(",", "."))
    except ValueError:
        raise ValueError(f"{cell[:40]!r} is no time in seconds") from None
    if not 0 <= value < 1e7:
        raise ValueError(f"{cell[:40]!r} is no time in seconds")
    return value
