"""What a table's cells say of which part of a file is meant: times and channels."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from moontune.data.rows.empty_texts import SPELLINGS
from moontune.data.rows.fields import channel_of
from moontune.importing.values import BAD_ROW, BAD_TIMES

_CLOCK = re.compile(r"(?:(\d+):)?(\d{1,3}):(\d{1,2}(?:[.,]\d+)?)")
_FIGURES = re.compile(r"[.,]?\d(?:[\d.,]*e[-+]?\d+|[\d.,:'\shmsecin]*)", re.IGNORECASE)
_DATE = re.compile(r"\d[./-]\d+[./-]\d")
_LONGEST_TIME = 40  # characters
_TIMES = {"offset", "end", "duration", "offset_ms", "end_ms", "duration_ms"}
_MOST = 0.6  # of the cells


def understood(field: str, cells: Sequence[str]) -> bool:
    """Whether a column's cells may be what its name says: some a channel, most of them times; of
    other fields always."""
    cells = [cell for cell in cells if cell and cell not in SPELLINGS]
    if not cells:
        return True
    if field == "channel":
        return any(map(_names_channel, cells))
    return field not in _TIMES or sum(map(_like_time, cells)) >= _MOST * len(cells)


def _like_time(cell: str) -> bool:
    """Whether a cell may be a time within a recording, also one that is not read, such as `1m20s`:
    figures with their units, and no date."""
    if len(cell) > _LONGEST_TIME or _DATE.search(cell):
        return False
    return _FIGURES.fullmatch(cell) is not None


def _names_channel(cell: str) -> bool:
    try:
        return _channel(cell) is not None
    except ValueError:
        return False


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
    if not cell or cell.lower() == "mono":  # one channel is all there is
        return None
    try:
        return channel_of({"channel": cell.removesuffix(".0")})
    except ValueError as error:
        raise _ChannelError(str(error)) from None


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
