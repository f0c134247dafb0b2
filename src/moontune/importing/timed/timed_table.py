"""Tables of times and texts beside their recording: what MacWhisper, whisper.cpp and editors of
transcripts write as CSV, with a head of begin, end and text, and who speaks."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from moontune.importing.tables.columns import Cell, cell_at, fields_of
from moontune.importing.tables.delimited import Records, dialects_of, table_of
from moontune.importing.tables.stretches import seconds_of
from moontune.importing.text_files import read_text
from moontune.importing.timed.captions import Caption, Captioned, TimedKind, tidy
from moontune.importing.values import BAD_TIMES, DamagedSourceError, Place, left_out

_LARGEST_BYTES = 50_000_000
_MS = 100  # a caption that lasts as many whole seconds is one of milliseconds


def is_timed_table(path: Path) -> bool:
    """Whether a table's head names begin and text, and no audio, and some row has a begin."""
    if path.stat().st_size > _LARGEST_BYTES:
        return False
    try:
        records = _records(path)
    except DamagedSourceError:
        return False
    fields = fields_of([cell or "" for cell in records[0][1]]) if records else {}
    begins = "offset" in fields or "offset_ms" in fields
    return begins and "text" in fields and "audio" not in fields and _has_a_begin(records, fields)


def _has_a_begin(records: Records, fields: dict[str, int]) -> bool:
    for _, cells in records[1:]:
        with suppress(ValueError):
            _times(cells, fields, 1.0)
            return True
    return False


def _records(path: Path) -> Records:
    text = read_text(path).text
    dialects = dialects_of(text)
    return [r for r in table_of(text, dialects[0]) if any(r[1])] if dialects else []


def read_timed_table(path: Path, place: Place) -> list[Captioned]:
    """The captions of a table; a row without an end lasts to the next one's begin. Raises
    DamagedSourceError."""
    (_, head), *rows = _records(path)
    fields = fields_of([cell or "" for cell in head])
    factor = 0.001 if _in_ms([cells for _, cells in rows], fields) else 1.0
    captions, left = [], []
    for line, cells in rows:
        where, text = f"{place.name_of(path)}:{line}", tidy(cell_at(cells, fields["text"]))
        try:
            start, end = _times(cells, fields, factor)
        except ValueError as error:
            left.append(left_out(where, text[:60], BAD_TIMES, str(error)))
            continue
        who = cell_at(cells, fields.get("speaker")) or None
        captions.append(
            Caption(where, start, start if end is None else end, text, who, to_next=end is None)
        )
    shown = [f'{name}: "{head[at]}"' for name, at in fields.items() if at < len(head)]
    unit = ("times in milliseconds",) if factor < 1 else ()
    return [Captioned(tuple(captions), left_out=tuple(left), told=(*shown, *unit))]


def _times(
    cells: Sequence[Cell], fields: dict[str, int], factor: float
) -> tuple[float, float | None]:
    """Begin and end, seconds; None where no end is told. Raises ValueError."""

    def seconds(field: str) -> float | None:
        if cell := cell_at(cells, fields.get(f"{field}_ms")):
            return seconds_of(cell) / 1000
        cell = cell_at(cells, fields.get(field))
        return seconds_of(cell) * (factor if ":" not in cell else 1.0) if cell else None

    start, end, length = seconds("offset"), seconds("end"), seconds("duration")
    if start is None:
        raise ValueError("has no begin")
    return start, start + length if end is None and length is not None else end


def _in_ms(rows: Sequence[Sequence[Cell]], fields: dict[str, int]) -> bool:
    """Whether times are whole milliseconds, as programs write that say nothing of it."""
    if not {"offset", "end"} <= fields.keys():
        return False
    pairs = [(cell_at(row, fields["offset"]), cell_at(row, fields["end"])) for row in rows]
    pairs = [pair for pair in pairs if all(pair)]
    if not pairs or not all(cell.isdecimal() for pair in pairs for cell in pair):
        return False
    return statistics.median(int(end) - int(start) for start, end in pairs) >= _MS


TIMED_TABLE = TimedKind(
    "timed-table", "table of times and texts", (".csv", ".tsv"), read_timed_table, is_timed_table,
    tells=True,
)  # fmt: skip
