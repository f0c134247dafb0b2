"""Lhotse: cuts, or recordings and supervisions, as JSON lines. The JSON is read without lhotse.

https://lhotse.readthedocs.io/en/latest/cuts.html: a cut has `start` and `duration` in its
recording, and supervisions whose `start` counts from the cut's. A supervision of a set of its own
counts from its recording's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from moontune.data.manifest import Dropped
from moontune.importing.audio_files import NotFoundError
from moontune.importing.tables.json_lines import (
    SUFFIXES,
    first_object,
    is_json_lines,
    json_objects,
)
from moontune.importing.values import (
    BAD_ROW,
    BAD_TIMES,
    MISSHAPEN,
    NO_AUDIO,
    NO_TEXT,
    Format,
    Found,
    Place,
    Recognised,
    SourceRow,
    left_out,
)

_WHOLE_S = 0.01  # a supervision so near to all of its recording is all of it


def _file(place: Place) -> Recognised | None:
    if not (is_json_lines(place.path) and _is_cut(first_object(place.path))):
        return None
    return Recognised("lhotse", place.path, (partial(_cuts, place, place.path),))


def _folder(place: Place) -> Recognised | None:
    objects = [(f, first_object(f)) for f in sorted(place.path.iterdir()) if is_json_lines(f)]
    if cuts := [f for f, value in objects if _is_cut(value)]:
        told = f"cuts: {', '.join(f.name for f in cuts)}"
        return Recognised(
            "lhotse", place.path, tuple(partial(_cuts, place, f) for f in cuts), (told,)
        )
    recordings = [f for f, v in objects if v and {"id", "sources"} <= v.keys()]
    supervisions = [f for f, v in objects if v and {"id", "recording_id", "start"} <= v.keys()]
    if not (recordings and supervisions):
        return None
    told = tuple(f"{what}: {', '.join(f.name for f in files)}" for what, files in
                 (("recordings", recordings), ("supervisions", supervisions)))  # fmt: skip
    parts = tuple(partial(_supervisions, place, recordings, f) for f in supervisions)
    return Recognised("lhotse", place.path, parts, told)


def _is_cut(value: dict[str, Any] | None) -> bool:
    return (
        value is not None and "supervisions" in value and bool({"recording", "tracks"} & {*value})
    )


@dataclass(frozen=True)
class _Recording:
    """The file that a recording is in, its length, and how many channels it has."""

    path: Path
    seconds: float
    channels: int

    @classmethod
    def of(cls, value: Any, place: Place, folder: Path) -> _Recording:
        """Raises NotFoundError for what is no file here, and LookupError and the like for a
        recording that lacks something."""
        kinds = {source["type"] for source in value["sources"]}
        if kinds != {"file"} or len(value["sources"]) != 1:
            what = "several files" if kinds == {"file"} else ", ".join(sorted(kinds)) or "no file"
            raise NotFoundError(f"the recording is of {what}, and only a single file is read")
        path = place.finder.find(str(value["sources"][0]["source"]), folder)
        channels = value["sources"][0].get("channels") or ()
        return cls(path, float(value["duration"]), len(channels))


def _cuts(place: Place, file: Path) -> Iterator[Found]:
    for line, value in json_objects(file):
        where = f"{place.name_of(file)}:{line}"
        name = str((value or {}).get("id", where))
        try:
            if value is None:
                raise ValueError("is no JSON object")
            if "tracks" in value:
                raise ValueError("a cut mixed of several is not read")
            yield from _of_cut(value, place, file.parent, where)
        except NotFoundError as error:
            yield left_out(where, name, NO_AUDIO, str(error))
        except MISSHAPEN as error:
            yield left_out(where, name, BAD_ROW, f"{type(error).__name__}: {error}"[:200])


def _of_cut(cut: dict[str, Any], place: Place, folder: Path, where: str) -> Iterator[Found]:
    recording = _Recording.of(cut["recording"], place, folder)
    start = float(cut["start"])
    if not cut["supervisions"]:
        yield left_out(where, str(cut["id"]), NO_TEXT, "the cut has no supervision")
    for supervision in cut["supervisions"]:
        yield _row(supervision, recording, start, where)


def _supervisions(place: Place, recordings: list[Path], file: Path) -> Iterator[Found]:
    known: dict[str, tuple[dict[str, Any], Path]] = {}
    for source in recordings:
        known |= {str(v["id"]): (v, source) for _, v in json_objects(source) if v and "id" in v}
    for line, value in json_objects(file):
        where = f"{place.name_of(file)}:{line}"
        row = value or {}
        name = str(row.get("id", where))
        try:
            told, source = known[str(row["recording_id"])]
            yield _row(row, _Recording.of(told, place, source.parent), 0.0, where)
        except NotFoundError as error:
            yield left_out(where, name, NO_AUDIO, str(error))
        except MISSHAPEN as error:
            yield left_out(where, name, BAD_ROW, f"{type(error).__name__}: {error}"[:200])


def _row(
    value: dict[str, Any], recording: _Recording, start_s: float, where: str
) -> SourceRow | Dropped:
    name, text = str(value["id"]), str(value.get("text") or "").strip()
    offset, seconds = start_s + float(value["start"]), float(value["duration"])
    if seconds <= 0 or offset < -_WHOLE_S:
        return left_out(where, name, BAD_TIMES, f"begins at {offset:g} s, lasts {seconds:g} s")
    if not text:
        return left_out(where, name, NO_TEXT, "the supervision has no text")
    channel = value.get("channel")
    whole = offset <= _WHOLE_S and seconds >= recording.seconds - _WHOLE_S
    return SourceRow(
        where, text, recording.path, name,
        None if whole else max(0.0, offset), None if whole else seconds,
        channel if isinstance(channel, int) and (channel > 0 or recording.channels > 1) else None,
        str(value["speaker"]) if value.get("speaker") is not None else None,
    )  # fmt: skip


FORMAT = Format(
    "lhotse", "Lhotse", "JSON lines of cuts, or of recordings and supervisions",
    _folder, _file, SUFFIXES,
)  # fmt: skip
