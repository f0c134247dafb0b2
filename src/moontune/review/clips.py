"""Rows of a manifest as clips to review, and clips as rows of the reviewed manifest.

A row is known by its content, so that what was decided follows it when other rows come or go, and
is never taken for another row.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from moontune.data.manifest import Utterance, manifest_lines, parse_line, read_manifest
from moontune.data.rows.fields import FIELD_NAMES, MILLISECONDS, written_name
from moontune.system.files import json_line, real_path

SHORTEST_PART_S = 0.2
_OF_A_DRAFT = ("draft", "priority", "confidences")


@dataclass(frozen=True)
class Draft:
    """A text that a model wrote, to be corrected."""

    priority: float  # the higher, the earlier
    confidences: tuple[float, ...]  # of each word of the text; () where they are not known


@dataclass(frozen=True)
class Clip:
    """A row to review, or a part of one that was split."""

    key: str  # of the row's content; of a part the whole's, and which part
    number: int  # of the row in its manifest, from 1
    line: bytes  # the row, or what it would be of the part
    utterance: Utterance
    draft: Draft | None = None

    @property
    def text(self) -> str:
        """The row's text, its spaces single."""
        return " ".join(self.utterance.text.split())

    @property
    def was(self) -> str:
        """The text of the row that it is, or is a part of."""
        return str(json.loads(self.line)["original_text"]) if "." in self.key else self.text


@dataclass(frozen=True)
class Row:
    """A line of the manifest."""

    number: int  # from 1
    line: bytes
    clip: Clip | None  # None: no run can use it, and it stays as it is


def read_rows(manifest: Path) -> list[Row]:
    """The rows of a manifest in their order, empty lines left out.

    Raises UserError as `read_manifest` does.
    """
    folder, seen = real_path(manifest).parent, Counter[str]()
    rows = []
    for number, line in enumerate(manifest_lines(manifest), start=1):
        if line.strip():
            clip = _clip(_key(line, seen), number, line, folder, f"{manifest}:{number}")
            rows.append(Row(number, line.rstrip(b"\n"), clip))
    if 2 * sum(row.clip is None for row in rows) >= len(rows):
        read_manifest(manifest)  # says what it is, if it is none
    return rows


def _key(line: bytes, seen: Counter[str]) -> str:
    """A name for a row's content; of equal rows the second has another."""
    key = hashlib.sha256(line.strip()).hexdigest()[:20]
    seen[key] += 1
    return key if seen[key] == 1 else f"{key}-{seen[key]}"


def root_of(key: str) -> str:
    """The key of the row that a clip is, or is a part of."""
    return key.partition(".")[0]


def _clip(key: str, number: int, line: bytes, folder: Path, where: str) -> Clip | None:
    try:
        utterance = parse_line(line, folder, where)
    except ValueError:
        return None
    return Clip(key, number, line.strip(), utterance, _draft(json.loads(line)))


def _draft(row: dict[str, Any]) -> Draft | None:
    if row.get("draft") is not True:
        return None
    priority, sure = row.get("priority"), row.get("confidences")
    return Draft(
        float(priority) if _is_number(priority) else 0.0,
        tuple(map(float, sure)) if isinstance(sure, list) and all(map(_is_number, sure)) else (),
    )


def _is_number(value: Any) -> TypeGuard[int | float]:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return plain and abs(value) < 1e300


def part_keys(key: str, at_s: float) -> tuple[str, str]:
    """Keys of the parts of a clip that is cut there: cut elsewhere they are other clips."""
    place = f"{key}.{round(1000 * at_s)}"
    return f"{place}a", f"{place}b"


def split_clip(
    clip: Clip, at_s: float, seconds: float, texts: tuple[str, str], folder: Path
) -> tuple[Clip, Clip]:
    """A clip of so many seconds as two, cut at `at_s`, in the same audio and channel.

    `folder` is the one that the manifest's paths start at.
    """
    begin = clip.utterance.offset or 0.0
    first, second = part_keys(clip.key, at_s)
    return (
        _part(clip, first, (begin, at_s), texts[0], folder),
        _part(clip, second, (begin + at_s, seconds - at_s), texts[1], folder),
    )


def _part(clip: Clip, key: str, stretch: tuple[float, float], text: str, folder: Path) -> Clip:
    row = json.loads(clip.line)
    in_ms = (name for names in MILLISECONDS.values() for name in names)
    for name in (*FIELD_NAMES["end"], *in_ms, "target", "confidences"):
        row.pop(name, None)
    row.setdefault("original_text", clip.utterance.text)
    row[written_name(row, "text")] = text
    row[written_name(row, "offset")] = round(stretch[0], 3)
    row[written_name(row, "duration")] = round(stretch[1], 3)
    row[written_name(row, "id")] = clip.utterance.id + key[-1]
    line = json_line(row)
    where = clip.utterance.where or ""
    part = _clip(key, clip.number, line, folder, where)
    assert part is not None
    return part


def written_line(clip: Clip, text: str | None, *, reviewed: bool, folder: Path | None) -> bytes:
    """The clip as a row of the reviewed manifest.

    `text` None: as it was. `folder`: where relative paths start, if the reviewed manifest lies
    elsewhere. A row of which nothing changes stays as it is, to the byte.
    """
    if text is None and not reviewed:
        return clip.line if folder is None else moved_line(clip.line, folder)
    row = json.loads(clip.line)
    if text is not None:
        row.setdefault("original_text", clip.utterance.text)
        row[written_name(row, "text")] = text
        row.pop("target", None)  # was made of the old text
    for name in _OF_A_DRAFT:
        row.pop(name, None)
    if reviewed:
        row["reviewed"] = True
    line = json_line(row)
    return line if folder is None else moved_line(line, folder)


def moved_line(line: bytes, folder: Path) -> bytes:
    """A row whose audio is found from any folder, where it lay relative to `folder`; other lines
    as they are."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return line
    if not isinstance(row, dict):
        return line
    name = written_name(row, "audio_filepath")
    audio: Any = row.get(name)
    path = audio.get("path") if isinstance(audio, dict) else audio
    if not isinstance(path, str) or path.startswith("~") or os.path.isabs(path):
        return line
    whole = _whole_path(path, folder)
    row[name] = {**audio, "path": whole} if isinstance(audio, dict) else whole
    return json_line(row)


def _whole_path(path: str, folder: Path) -> str:
    whole = folder / path
    if "\\" in path and os.sep == "/" and not whole.exists():
        whole = folder / path.replace("\\", "/")  # as Windows writes it
    return os.path.normpath(whole)


def clips_of(rows: list[Row]) -> Iterator[Clip]:
    """Those rows that can be heard and changed."""
    return (row.clip for row in rows if row.clip is not None)
