"""Utterances and the JSONL manifests that list them, one utterance a line."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import json
import os
import re
import zlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from moontune.data.audio import AudioPart
from moontune.data.rows.empty_texts import SPELLINGS
from moontune.data.rows.fields import audio_of, channel_of, name_of, stretch_of, text_of
from moontune.data.rows.label_studio import refuse_stretches
from moontune.data.rows.sessions import recorded_of
from moontune.errors import UserError
from moontune.system.file_kinds import binary_kind, text_kind
from moontune.system.files import (
    AGAIN,
    accents_written_alike,
    mending,
    real_path,
    write_jsonl,
)

_GZIP = b"\x1f\x8b"
_LARGEST_ARRAY = 2**28  # bytes
_A_ROW = 'a manifest has a line such as {"audio_filepath": "a.wav", "text": "..."} for each clip'
_UNREAD = "its text is a model's, and nobody has read it; correct it with moontune review"
_LONGEST_TEXT = 20_000  # a quarter of an hour; normalising takes time with the square of it


class _NoObjectError(ValueError):
    """A line that is JSON, and no object."""


class _DraftError(ValueError):
    """A row whose text is a model's own."""


_NOT_AN_OBJECT = (*(_NoObjectError, json.JSONDecodeError, RecursionError, UnicodeDecodeError),)
_LONGEST_HEAD = 10_000  # bytes of a line that are looked at for what it is


@dataclass(frozen=True, slots=True)
class Utterance:
    """One recording and what is said in it.

    `text` is the reference as its author wrote it and is what WER is scored against. `target` is
    the same words in the style the model is trained to write; None until labels are made.
    """

    id: str
    audio_filepath: Path
    text: str
    duration: float | None  # seconds; None until the audio was read
    speaker: str | None
    target: str | None = None
    where: str | None = field(default=None, compare=False)  # "my.jsonl:12", the row it came from
    backwards: bool = False  # heard from its end; in no manifest
    renamed: bool = field(default=False, compare=False)  # its id was another row's; in no manifest
    offset: float | None = None  # seconds into the file; then `duration` says how much of it
    channel: int | None = None  # of the file, from 0; None: the average of all
    recorded: tuple[tuple[str, str], ...] = ()  # names and values of SESSION_FIELDS; days as ISO
    group: str | None = field(default=None, compare=False)  # a session that the split kept whole

    @property
    def audio(self) -> Path | AudioPart:
        """What `read_audio` takes: the file, or the part of it that this is."""
        if self.offset is None and self.channel is None:
            return self.audio_filepath
        seconds = None if self.offset is None else self.duration
        return AudioPart(self.audio_filepath, self.offset or 0.0, seconds, self.channel)

    @property
    def label(self) -> str:
        """The text the model is trained on."""
        return self.text if self.target is None else self.target

    @property
    def duration_or_1s(self) -> float:
        """Its duration, or a second where that is not known: for sharing work out."""
        return self.duration or 1.0


@dataclass(frozen=True)
class Dropped:
    """A row that cannot be used, with the place it came from and the reason."""

    where: str  # "manifest.jsonl:12" or an utterance id
    id: str
    reason: str  # a short kind, as counted: "unreadable", "too short", ...
    detail: str


def _parse(row: Any, base: str, where: str, *, as_found: bool = False) -> Utterance:
    """One decoded JSON line as an Utterance; raises ValueError with what is wrong. `as_found`: its
    path was looked for when it was written."""
    if not isinstance(row, dict):
        raise _NoObjectError(f"expected a JSON object, found {type(row).__name__}")
    refuse_stretches(row)
    audio, text, target = audio_of(row), text_of(row, "text") or "", text_of(row, "target")
    if len(text) > _LONGEST_TEXT:
        raise ValueError(
            f"text has {len(text)} characters, at most {_LONGEST_TEXT} to an utterance"
        )
    speaker, ident = name_of(row, "speaker"), name_of(row, "id")
    offset, seconds = stretch_of(row)
    try:
        "\0".join((audio, text, speaker or "", ident or "", target or "")).encode()
    except UnicodeEncodeError:
        raise ValueError("holds half of a surrogate pair, which is not text") from None
    file = audio
    if "\\" in audio and os.sep == "/" and not os.path.exists(os.path.join(base, audio)):
        file = audio.replace("\\", "/")  # as Windows writes it
    if audio.startswith("~"):
        file = os.path.expanduser(audio)
    path = os.path.normpath(os.path.join(base, file))
    if not (as_found or file.isascii() or os.path.exists(path)):
        path = _with_other_accents(file, base) or path
    return Utterance(
        id=ident if ident is not None else _usual_id(audio, offset),
        audio_filepath=Path(path),
        text=text,
        duration=seconds,
        speaker=None if speaker in SPELLINGS else speaker or None,
        target=target,
        where=where,
        offset=offset,
        channel=channel_of(row),
        recorded=recorded_of(row),
    )


def _with_other_accents(file: str, base: str) -> str | None:
    """The path of a file that is there under the name with its accents written otherwise."""
    _, *others = accents_written_alike(file)
    paths = (os.path.normpath(os.path.join(base, name)) for name in others)
    return next(filter(os.path.exists, paths), None)


def parse_line(line: bytes, folder: Path, where: str) -> Utterance:
    """One line of the manifest in `folder` as an Utterance. Raises ValueError with what is
    wrong."""
    try:
        return _parse(json.loads(line.decode()), str(folder), where)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _usual_id(audio: str, offset: float | None) -> str:
    """A row's id where it names none."""
    return Path(audio).stem if offset is None else f"{Path(audio).stem}@{offset:g}"


def manifest_lines(path: Path) -> Iterator[bytes]:
    """A manifest's lines, without its byte order mark; of a JSON array its items, a line each.

    It may be compressed by gzip. Raises UserError.
    """
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):  # it may not end
            raise UserError(f"{path}: is a pipe or a device; write the manifest to a file first")
        with open(path, "rb") as file:
            packed = file.read(2) == _GZIP
            file.seek(0)
            stream: Any = gzip.GzipFile(fileobj=file) if packed else file
            first = stream.readline()
            if kind := binary_kind(first):
                raise UserError(f"{path}: is no manifest, it looks like {kind}; {_A_ROW}")
            if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                raise UserError(f"{path}: is UTF-16 text; save it as UTF-8")
            first = first.removeprefix(codecs.BOM_UTF8)
            if re.search(rb"\}\s*\r\s*\{", first):
                raise UserError(f"{path}: its lines end in CR alone; save it with line feeds (LF)")
            while first and not first.strip():
                yield first
                first = stream.readline()
            yield from _items(first, stream) if first.lstrip().startswith(b"[") else [first]
            yield from stream
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path}: is a damaged gzip file ({error}); compress it again") from None
    except FileNotFoundError:
        raise UserError(f"{path}: no such manifest; check the path") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder; give the .jsonl file inside it") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def _items(first: bytes, rest: Any) -> Iterator[bytes]:
    """The items of a JSON array, a line each; the lines themselves where it is none."""
    text = first + rest.read(_LARGEST_ARRAY)
    try:
        items = json.loads(text.decode())
    except (ValueError, RecursionError):
        items = None
    if isinstance(items, list) and (not items or any(isinstance(item, dict) for item in items)):
        yield from (json.dumps(item).encode() for item in items)
    else:
        yield from text.splitlines(keepends=True)


def read_manifest(path: Path | str) -> tuple[list[Utterance], list[Dropped]]:
    """Read a JSONL manifest, or a JSON array, gzipped or not; relative audio paths are resolved
    against its folder.

    Returns the usable rows and the broken ones, each with `file:line`. Ids used twice get a suffix
    so that every utterance stays addressable. Raises UserError where no row can be used at all.
    """
    bad: list[Dropped] = []
    return list(_each(Path(path), bad, set())), bad


def read_manifests(paths: Iterable[Path]) -> tuple[list[Utterance], list[Dropped]]:
    """All rows of several manifests, in order, as `read_manifest` reads one.

    A recording that is listed twice with the same text, in one of them or in two, counts once: the
    second is among the rows returned as broken.
    """
    bad: list[Dropped] = []
    kept: dict[Hashable, Utterance] = {}
    for u in each_row(paths, bad):
        keep_once(kept, u, bad)
    return list(kept.values()), bad


def keep_once(kept: dict[Hashable, Utterance], u: Utterance, bad: list[Dropped]) -> Hashable | None:
    """Add a row to those `kept`, under a key that is returned; one with the recording and text of
    another is added to `bad` in place, and gives it its speaker where it has none."""
    stretch = (u.offset, None if u.offset is None else u.duration, u.channel)
    key = (u.audio_filepath, stretch, u.text.strip())
    first = kept.setdefault(key, u)
    if first is u:
        return key
    if first.speaker is None and u.speaker is not None:
        kept[key] = replace(first, speaker=u.speaker)
    same = f"the same recording and text as {first.where}"
    bad.append(Dropped(u.where or u.id, u.id, "listed twice", same))
    return None


def each_utterance(*paths: Path) -> Iterator[Utterance]:
    """The usable rows of manifests, one by one. Raises UserError as `read_manifest` does."""
    return each_row(paths, [])


def each_row(
    paths: Iterable[Path], bad: list[Dropped], wanted: Callable[[bytes], bool] = bool
) -> Iterator[Utterance]:
    taken: set[str] = set()
    for path in paths:
        yield from _each(Path(path), bad, taken, wanted=wanted)


def refuse_given_twice(paths: Sequence[Path]) -> None:
    """Raises UserError: of two texts for a recording the later manifest's is believed, and a file
    given first and last is both."""
    known: dict[Path, Path] = {}
    for path in paths:
        first = known.setdefault(real_path(path), path)
        if first is not path:
            also = "" if first == path else f", as {first} before"
            raise UserError(
                f"{path}: given twice{also}; name each manifest once, in the order in which the "
                "later one is believed"
            )


def _each(
    path: Path,
    bad: list[Dropped],
    taken: set[str],
    *,
    wanted: Callable[[bytes], bool] = bool,  # all
) -> Iterator[Utterance]:
    """Usable rows; `bad` gets the broken ones, `taken` the ids."""
    broken: list[Dropped] = []
    total = skipped = 0
    strange: list[Dropped] = []  # of lines that are no JSON objects
    head = b""  # the first line
    base = str(real_path(path).parent)
    for number, line in enumerate(manifest_lines(path), start=1):
        if not line.strip():
            continue
        if not wanted(line):
            skipped += 1
            continue
        total += 1
        head = head or line[:_LONGEST_HEAD]
        where = f"{path}:{number}"
        try:
            decoded = json.loads(line.decode())
            row = _parse(decoded, base, where)
            _refuse_draft(decoded)
        except (ValueError, RecursionError) as error:
            broken.append(_broken(error, where, number))
            bad.append(broken[-1])
            if isinstance(error, _NOT_AN_OBJECT):
                strange.append(broken[-1])
            continue
        yield _named_apart(row, taken, number)
    if not skipped:  # or these few rows say nothing of the file
        _refuse_useless(path, head, total, strange, broken)


def _named_apart(row: Utterance, taken: set[str], number: int) -> Utterance:
    """A row under an id that no other has; that is added to those `taken`."""
    name = row.id
    while name in taken:
        name = f"{name}#{number}"
    taken.add(name)
    return row if name == row.id else replace(row, id=name, renamed=True)


def _refuse_useless(
    path: Path, head: bytes, total: int, strange: list[Dropped], broken: list[Dropped]
) -> None:
    """Raises UserError where a file is no manifest, or none of its `total` rows can be used.

    `head` is its first line, `strange` are those of the broken rows that are no JSON objects.
    """
    if len(strange) > total / 2 and total > 1:
        kind = text_kind(head)
        looks = f", it looks like {kind}" if kind else _share_of(strange, total)
        raise UserError(f"{path}: is no manifest{looks}; {_A_ROW}")
    if len(broken) == total:
        if not broken:
            raise UserError(f"{path}: is empty; put one JSON object a line in it")
        first = broken[0]
        hint = "; a manifest holds one JSON object a line" if first.reason == "not JSON" else ""
        none = f"none of the {len(broken)} rows is usable"
        raise UserError(f"{first.where}: {first.reason}: {first.detail}; {none}{hint}")


def _refuse_draft(row: dict[str, Any]) -> None:
    """Raises ValueError where nobody has read the text."""
    if row.get("draft") is True:
        raise _DraftError(_UNREAD)


def _share_of(strange: list[Dropped], total: int) -> str:
    """How many lines are no JSON objects, and what is wrong with the first of them."""
    share = f"{len(strange)} of {total} lines are not JSON objects"
    return f": {share} ({strange[0].id}: {strange[0].reason}, {strange[0].detail})"


def _broken(error: Exception, where: str, number: int) -> Dropped:
    ident = f"line {number}"
    if isinstance(error, json.JSONDecodeError):
        return Dropped(
            where, ident, "not JSON", f"{error.msg.removesuffix(' at')} at column {error.colno}"
        )
    if isinstance(error, RecursionError):
        return Dropped(where, ident, "not JSON", "nested too deep")
    if isinstance(error, UnicodeDecodeError):
        detail = f"{error.reason} at byte {error.start} of the line"
        return Dropped(where, ident, "not UTF-8", detail)
    reason = "draft" if isinstance(error, _DraftError) else "bad row"
    return Dropped(where, ident, reason, str(error))


def read_run_manifest(path: Path, remedy: str = AGAIN) -> list[Utterance]:
    """Rows of a manifest that a run wrote, which say where they came from; it may hold none.

    Raises UserError, with `remedy`, if it is missing or damaged.
    """
    base, taken = str(real_path(path).parent), set[str]()
    rows: list[Utterance] = []
    with mending(path, remedy):
        for number, line in enumerate(Path(path).read_bytes().split(b"\n"), start=1):
            if line.strip():
                row = _row_of_run(line, base, path, number)
                rows.append(_named_apart(row, taken, number))
    return rows


def _row_of_run(line: bytes, base: str, path: Path, number: int) -> Utterance:
    """Raises ValueError with the line's number and what is wrong."""
    try:
        decoded = json.loads(line.decode())
        row = _parse(decoded, base, f"{path}:{number}", as_found=True)
    except (ValueError, RecursionError) as error:
        wrong = _broken(error, str(path), number)
        raise ValueError(f"{wrong.id}: {wrong.reason}, {wrong.detail}") from None
    group = decoded.get("group")
    return replace(
        row, where=str(decoded.get("where") or row.where), group=str(group) if group else None
    )


def to_row(
    utterance: Utterance, base: Path | None = None, *, keep_where: bool = False
) -> dict[str, Any]:
    """The manifest's JSON object; the audio path relative to `base` where it lies below it."""
    audio = utterance.audio_filepath
    if base is not None and audio.is_absolute() and audio.is_relative_to(base):
        audio = audio.relative_to(base)
    row: dict[str, Any] = {
        "audio_filepath": audio.as_posix(),
        "text": utterance.text,
        "duration": utterance.duration,
        "speaker": utterance.speaker,
        "id": utterance.id,
    }
    if utterance.target is not None:
        row["target"] = utterance.target
    more = {"offset": utterance.offset, "channel": utterance.channel, "group": utterance.group}
    row |= {name: value for name, value in more.items() if value is not None}
    row |= dict(utterance.recorded)
    if keep_where:
        row["where"] = utterance.where
    return row


def write_manifest(
    path: Path | str, utterances: Iterable[Utterance], *, keep_where: bool = False
) -> None:
    """Write a manifest beside itself and rename it into place. Raises UserError for a folder.

    `keep_where` keeps the place each row came from, for reports of what is dropped later.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path}: is a folder; give the .jsonl file to write")
    base = real_path(path).parent
    write_jsonl(path, (to_row(u, base, keep_where=keep_where) for u in utterances))


def manifest_hash(utterances: Iterable[Utterance]) -> str:
    """What an evaluation is over: ids, references and targets, in order (not where files lie)."""
    digest = hashlib.sha256()
    for u in utterances:
        digest.update(json.dumps([u.id, u.text, u.target, u.duration, u.speaker]).encode())
    return digest.hexdigest()[:16]
