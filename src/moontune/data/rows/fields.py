"""Fields of a manifest's rows: their names in moontune and elsewhere, and what their values say.

Each of the functions raises ValueError with what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moontune.system.files import is_address

# The first name of each field is the one moontune writes; the others are what NeMo,
# `moonshine_voice.lora`, Common Voice and `datasets` exports use for the same thing.
FIELD_NAMES: dict[str, tuple[str, ...]] = {
    "audio_filepath": ("audio_filepath", "audio", "path", "wav", "audio_path", "file", "filename"),
    "text": ("text", "transcript", "sentence", "transcription", "reference"),
    "duration": ("duration", "seconds", "duration_s", "length_s", "duration_sec"),
    "speaker": ("speaker", "speaker_id", "client_id", "spk"),
    "id": ("id", "utterance_id", "utt_id", "key"),
    "target": ("target",),
    "offset": ("offset", "start", "start_time", "begin", "start_s", "start_sec", "offset_s"),
    "end": ("end", "end_time", "stop", "end_s", "end_sec"),
    "channel": ("channel", "channel_selector"),
}
# Where a row has none of these, times in milliseconds.
MILLISECONDS: dict[str, tuple[str, ...]] = {
    "offset": ("offset_ms", "start_ms", "start_time_ms", "begin_ms"),
    "end": ("end_ms", "end_time_ms", "stop_ms"),
    "duration": ("duration_ms", "length_ms"),
}
_CHANNELS = {"left": 0, "l": 0, "right": 1, "r": 1}
_UNLIKE_S = 0.05  # that a duration may say otherwise than offset and end


def _pick(row: dict[str, Any], field: str) -> Any:
    """The field's value under any of its names; not a number, as pandas writes it, is none."""
    return _first(row, FIELD_NAMES[field])


def _first(row: dict[str, Any], names: tuple[str, ...]) -> Any:
    for name in names:
        value = row.get(name)
        if value is not None and value == value:
            return value
    return None


def is_row(row: Mapping[str, Any]) -> bool:
    """Whether an object names its audio, and a text or a length, as a manifest's row does."""
    names = {*FIELD_NAMES["text"], "duration"}
    return not row.keys().isdisjoint(FIELD_NAMES["audio_filepath"]) and bool(names & row.keys())


def text_of(row: dict[str, Any], field: str) -> str | None:
    """A string; None where there is none."""
    value = _pick(row, field)
    if value is None or isinstance(value, str):
        return value
    raise ValueError(f"{field} must be a string, found {type(value).__name__}")


def name_of(row: dict[str, Any], field: str) -> str | None:
    """A string or a number, as a string; pandas writes 7.0 for 7 where some rows have none."""
    value = _pick(row, field)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(int(value) if isinstance(value, float) and value.is_integer() else value)
    raise ValueError(f"{field} must be a string or a number, found {type(value).__name__}")


def _seconds(row: dict[str, Any], field: str) -> float | None:
    value, names, unit, of_a_second = _pick(row, field), FIELD_NAMES[field], "seconds", 1
    if value is None:
        names, unit, of_a_second = MILLISECONDS[field], "milliseconds", 1000
        value = _first(row, names)
    if value is None:
        return None
    name = next(n for n in names if row.get(n) is value)
    try:
        number = float("true" if isinstance(value, bool) else value)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} must be {unit}, found {_short(value)}") from None
    if not 0 <= number < float("inf"):
        raise ValueError(f"{name} must be 0 or more {unit}, found {number}")
    return number / of_a_second


def stretch_of(row: dict[str, Any]) -> tuple[float | None, float | None]:
    """Offset and duration, seconds; no offset where the row is of the whole file."""
    offset, end, seconds = (_seconds(row, name) for name in ("offset", "end", "duration"))
    if end is None:
        return offset, seconds
    offset = offset or 0.0
    if end <= offset:
        raise ValueError(f"end {end:g} is not behind the offset {offset:g}")
    if seconds is not None and abs(offset + seconds - end) > _UNLIKE_S:
        raise ValueError(
            f"offset {offset:g} and duration {seconds:g} do not end at {end:g}; give two of them"
        )
    return offset, end - offset


def channel_of(row: dict[str, Any]) -> int | None:
    """Its number, from 0; None: the average of all."""
    value = _pick(row, "channel")
    if value is None:
        return None
    if isinstance(value, str) and value.isdecimal() and len(value) < 4:
        return int(value)
    if isinstance(value, str) and value.strip().lower() in _CHANNELS:
        return _CHANNELS[value.strip().lower()]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= float(value) < 1000 or value != int(value):
        raise ValueError(f"channel must be a number from 0 on, left or right: {_short(value)}")
    return int(value)


def audio_of(row: dict[str, Any]) -> str:
    """The path as it is written."""
    value = _pick(row, "audio_filepath")
    if isinstance(value, dict):  # a `datasets` Audio column: {"path": ..., "bytes": null}
        value = value.get("path")
    if not isinstance(value, str) or not value.strip():
        names = ", ".join(FIELD_NAMES["audio_filepath"][:4])
        raise ValueError(f"no audio path; give one of the fields {names}")
    if is_address(value):
        raise ValueError(
            f"audio path {_short(value)} is an address; download it, and name the file"
        )
    if "\0" in value:
        raise ValueError(f"audio path {_short(value)} holds a zero byte")
    return value


def _short(value: Any) -> str:
    try:
        shown = repr(value)
    except ValueError:  # an integer of thousands of digits
        return f"a {type(value).__name__}"
    return shown if len(shown) <= 60 else f"{shown[:60]}..."


def written_name(row: dict[str, Any], field: str) -> str:
    """The name under which a row has a field; the one moontune writes where it has none."""
    names = FIELD_NAMES[field]
    return next((name for name in names if row.get(name) is not None), names[0])
