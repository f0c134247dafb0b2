"""When, or in which recording, a row's clip was made, by the fields that tell it."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any

# Fields that tell when, or in which recording, a clip was made; all that a row has are kept.
_TIMES = ("recorded_at", "date", "day")
SESSION_FIELDS = (
    *("session", "session_id", "recording", "recording_id", "source_file", "source"),
    *_TIMES,
)


_DAY = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)(?:[T _-].*)?", re.DOTALL)  # ISO, and compact
_CLOCK = re.compile(  # at the end: 14:05, at 2:05:09 pm, T14.05Z, 14:05 +02:00
    r"(?:[\s,T]+|\s+at\s+)\d{1,2}[:.h]\d\d(?:[:.]\d\d(?:[.,]\d+)?)?"
    r"(?:\s*[ap]\.?m\.?)?(?:\s*(?:Z|UTC|GMT|[+-]\d\d:?\d\d))?$",
    re.IGNORECASE,
)
_EPOCH = re.compile(r"\d{10}(?:\d{3})?(?:\.\d+)?")
_EPOCH_S, _EPOCH_MS = (1e9, 1e11), (1e12, 1e14)  # of 2001 and later
_LONGEST_NAME = 200


def recorded_of(row: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """The row's session fields; what is no name in one is left out, as any other field is."""
    values = ((name, _session(name, row[name])) for name in SESSION_FIELDS if name in row)
    return tuple((name, value) for name, value in values if value)


def _session(name: str, value: Any) -> str | None:
    """A session's name; dates, timestamps and seconds since 1970 as their day."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if isinstance(value, str) and name in _TIMES and _EPOCH.fullmatch(value.strip()):
        value = float(value)
    if not isinstance(value, str):
        if _EPOCH_MS[0] <= value < _EPOCH_MS[1]:
            value /= 1000
        if _EPOCH_S[0] <= value < _EPOCH_S[1]:
            return datetime.fromtimestamp(value, UTC).date().isoformat()
        return f"{value:g}" if abs(value) < 1e15 else None
    value = value.strip()
    if (day := _DAY.fullmatch(value)) is not None:
        with suppress(ValueError):
            return date(*map(int, day.groups())).isoformat()
    if name in _TIMES:  # a day written another way is as good a name, without its time
        value = _CLOCK.sub("", value)
    usable = len(value) <= _LONGEST_NAME and value.isprintable()
    return value if usable else None
