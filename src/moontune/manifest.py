"""Utterances and the JSONL manifests that list them, one utterance a line."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from moontune.errors import UserError
from moontune.files import write_jsonl

# The first name of each field is the one moontune writes; the others are what NeMo,
# `moonshine_voice.lora`, Common Voice and `datasets` exports use for the same thing.
FIELD_NAMES: dict[str, tuple[str, ...]] = {
    "audio_filepath": ("audio_filepath", "audio", "path", "wav", "audio_path", "file", "filename"),
    "text": ("text", "transcript", "sentence", "transcription", "reference"),
    "duration": ("duration", "seconds", "duration_s", "length_s"),
    "speaker": ("speaker", "speaker_id", "client_id", "spk"),
    "id": ("id", "utterance_id", "utt_id", "key"),
    "target": ("target",),
}


@dataclass(frozen=True)
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

    @property
    def label(self) -> str:
        """The text the model is trained on."""
        return self.text if self.target is None else self.target

    @property
    def length_s(self) -> float:
        """Its duration, or a second where that is not known: for sharing work out."""
        return self.duration or 1.0

    def with_(self, **changes: Any) -> Utterance:
        return replace(self, **changes)


@dataclass(frozen=True)
class Dropped:
    """A row that cannot be used, with the place it came from and the reason."""

    where: str  # "manifest.jsonl:12" or an utterance id
    id: str
    reason: str  # a short kind, as counted: "unreadable", "too short", ...
    detail: str


def _pick(row: dict[str, Any], field: str) -> Any:
    for name in FIELD_NAMES[field]:
        if row.get(name) is not None:
            return row[name]
    return None


def _parse(row: Any, base: Path, where: str) -> Utterance:
    """One decoded JSON line as an Utterance; raises ValueError with what is wrong."""
    if not isinstance(row, dict):
        raise ValueError(f"expected a JSON object, found {type(row).__name__}")
    audio = _pick(row, "audio_filepath")
    if isinstance(audio, dict):  # a `datasets` Audio column: {"path": ..., "bytes": null}
        audio = audio.get("path")
    if not isinstance(audio, str) or not audio.strip() or "\0" in audio:
        names = ", ".join(FIELD_NAMES["audio_filepath"][:4])
        raise ValueError(f"no audio path; give one of the fields {names}")
    text = _pick(row, "text")
    if text is None:
        text = ""
    if not isinstance(text, str):
        raise ValueError(f"text must be a string, found {type(text).__name__}")
    duration = _pick(row, "duration")
    if duration is not None:
        try:
            duration = float(duration)
        except (TypeError, ValueError):
            raise ValueError(f"duration must be seconds, found {duration!r}") from None
        if not 0 <= duration < float("inf"):
            raise ValueError(f"duration must be 0 or more seconds, found {duration}")
    speaker = _pick(row, "speaker")
    if speaker is not None and not isinstance(speaker, str | int):
        raise ValueError(f"speaker must be a name or a number, found {type(speaker).__name__}")
    ident = _pick(row, "id")
    if ident is not None and not isinstance(ident, str | int):
        raise ValueError(f"id must be a string or a number, found {type(ident).__name__}")
    target = _pick(row, "target")
    if target is not None and not isinstance(target, str):
        raise ValueError(f"target must be a string, found {type(target).__name__}")
    for value in (audio, text, speaker, ident, target):
        if isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value):
            raise ValueError("holds half of a surrogate pair, which is not text")
    try:
        file = Path(audio).expanduser()
    except RuntimeError as error:
        raise ValueError(f"audio path {audio!r}: {error}") from None
    return Utterance(
        id=str(ident) if ident is not None else Path(audio).stem,
        audio_filepath=Path(os.path.normpath(base / file)),
        text=text,
        duration=duration,
        speaker=None if speaker is None or str(speaker) == "" else str(speaker),
        target=target,
        where=str(row.get("where") or where),
    )


def read_manifest(path: Path) -> tuple[list[Utterance], list[Dropped]]:
    """Read a JSONL manifest; relative audio paths are resolved against its folder.

    Returns the usable rows and the broken ones, each with `file:line`. Ids used twice get a suffix
    so that every utterance stays addressable. Raises UserError where no row can be used at all.
    """
    path = Path(path)
    try:
        raw = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{path}: no such manifest; check the path") from None
    except IsADirectoryError:
        raise UserError(f"{path}: is a folder; give the .jsonl file inside it") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    rows: list[Utterance] = []
    bad: list[Dropped] = []
    taken: set[str] = set()
    base = path.resolve().parent
    for number, line in enumerate(raw.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            row = _parse(json.loads(line), base, where)
        except json.JSONDecodeError as error:
            bad.append(Dropped(where, f"line {number}", "not JSON", error.msg))
            continue
        except RecursionError:
            bad.append(Dropped(where, f"line {number}", "not JSON", "nested too deep"))
            continue
        except ValueError as error:
            bad.append(Dropped(where, f"line {number}", "bad row", str(error)))
            continue
        if row.id in taken:
            row = row.with_(id=f"{row.id}#{number}")
        taken.add(row.id)
        rows.append(row)
    if not rows:
        if bad:
            first = bad[0]
            raise UserError(f"{first.where}: {first.detail}; none of the {len(bad)} rows is usable")
        raise UserError(f"{path}: is empty; put one JSON object a line in it")
    return rows, bad


def read_rows(path: Path) -> list[Utterance]:
    """Rows of a manifest that a run wrote; it may hold none. Raises UserError."""
    if Path(path).is_file() and Path(path).stat().st_size == 0:
        return []
    return read_manifest(path)[0]


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
    if keep_where:
        row["where"] = utterance.where
    return row


def write_manifest(
    path: Path, utterances: Iterable[Utterance], *, keep_where: bool = False
) -> None:
    """Write a manifest beside itself and rename it into place.

    `keep_where` keeps the place each row came from, for reports of what is dropped later.
    """
    path = Path(path)
    base = path.resolve().parent
    write_jsonl(path, (to_row(u, base, keep_where=keep_where) for u in utterances))


def manifest_hash(utterances: Iterable[Utterance]) -> str:
    """What an evaluation is over: ids, references and targets, in order (not where files lie)."""
    digest = hashlib.sha256()
    for u in utterances:
        digest.update(json.dumps([u.id, u.text, u.target, u.duration, u.speaker]).encode())
    return digest.hexdigest()[:16]
