"""A manifest: moontune's own, NeMo's, and a folder that `moontune import` made."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from moontune.data.manifest import Utterance, read_manifest
from moontune.data.rows.empty_texts import empty_spellings, in_words
from moontune.data.rows.fields import FIELD_NAMES, is_row
from moontune.errors import UserError
from moontune.importing.audio_files import NotFoundError
from moontune.importing.formats.label_studio import has_tasks
from moontune.importing.tables.json_lines import SUFFIXES, first_object, is_json_lines
from moontune.importing.tables.table_rows import clip_name
from moontune.importing.values import (
    NO_AUDIO,
    NO_TEXT,
    DamagedSourceError,
    Format,
    Found,
    Place,
    Recognised,
    SourceRow,
    left_out,
)

NAME = "manifest.jsonl"
_HEAD_BYTES = 4096
_AUDIO = re.compile(rf'"(?:{"|".join(FIELD_NAMES["audio_filepath"])})"\s*:'.encode())

_OF_TASKS = re.compile(rb'"(?:annotations|completions|predictions)"\s*:\s*\[')  # Label Studio's
_DATA = re.compile(rb'"data"\s*:\s*\{')
_TEXT = re.compile(rf'"(?:{"|".join(FIELD_NAMES["text"])})"\s*:\s*"'.encode())


def is_manifest(path: Path) -> bool:
    """Whether a file's first line is a manifest's row; of an array, whether it begins as one. What
    Label Studio wrote is none: its texts may be of stretches, or one recording's by several."""
    if has_tasks(path):
        return False
    if (row := first_object(path)) is not None:
        return is_row(row)
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD_BYTES).lstrip(b"\xef\xbb\xbf \r\n\t")
            tasks = _OF_TASKS.search(head) and _DATA.search(head) and not _TEXT.search(head)
            return head.startswith(b"[") and _AUDIO.search(head) is not None and not tasks
    except OSError:
        return False


def _file(place: Place) -> Recognised | None:
    if not (is_json_lines(place.path) and is_manifest(place.path)):
        return None
    return Recognised("manifest", place.path, (partial(_rows, place, place.path),))


def _folder(place: Place) -> Recognised | None:
    if is_manifest(place.path / NAME):
        files = [place.path / NAME]
    else:
        files = sorted(f for f in place.path.iterdir() if is_json_lines(f) and is_manifest(f))
    if not files:
        return None
    told = f"rows: {', '.join(file.name for file in files)}"
    parts = tuple(partial(_rows, place, file) for file in files)
    return Recognised("manifest", place.path, parts, (told,))


def _rows(place: Place, file: Path) -> Iterator[Found]:
    try:
        rows, bad = read_manifest(file)
    except UserError as error:
        raise DamagedSourceError(str(error)) from None
    name = place.name_of(file)
    for one in bad:
        yield replace(one, where=one.where.replace(str(file), name))
    empty = empty_spellings(u.text for u in rows)
    for u in rows:
        yield _row(u, place, file, empty)


def _row(u: Utterance, place: Place, file: Path, empty: Collection[str]) -> Found:
    where = (u.where or u.id).replace(str(file), place.name_of(file))
    if not u.text.strip():
        return left_out(where, u.id, NO_TEXT, "the text is empty")
    if u.text.strip() in empty:
        return left_out(where, u.id, NO_TEXT, in_words(u.text))
    try:
        path = place.finder.find(str(u.audio_filepath), file.parent)
    except NotFoundError as error:
        return left_out(where, u.id, NO_AUDIO, str(error))
    name = clip_name(place, path) if u.offset is None else u.id
    seconds = None if u.offset is None else u.duration
    return SourceRow(where, u.text, path, name, u.offset, seconds, u.channel, u.speaker, u.recorded)


FORMAT = Format(
    "manifest", "manifest (NeMo, moontune)",
    "JSON lines with audio_filepath and text", _folder, _file, SUFFIXES,
)  # fmt: skip
