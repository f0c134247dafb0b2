"""Clips that somebody corrected, kept as a manifest for the next run.

The manifest is the only record: what is listed are its rows, also those that another start of the
page or another program wrote. Rows that are not changed stay as they are, to the byte. Every change
writes the whole file beside itself and renames it, under a lock that other processes wait for.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from moontune.data.audio import SAMPLE_RATE_HZ, write_flac
from moontune.data.manifest import Utterance, parse_line
from moontune.data.rows.fields import written_name
from moontune.errors import UserError
from moontune.pipeline.run_folder.lock import exclusive_file
from moontune.system.files import json_line, real_path, remove_left_over, write_bytes

MOST_CHARACTERS = 2_000
_SPEAKER_CHARACTERS = 60
_PRIVATE = 0o600
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class KeptClip:
    """A row of the manifest."""

    key: str  # of the row as it is written: once changed it has another
    utterance: Utterance
    prompt: str | None = None  # the sentence that was to be read, where one was

    @property
    def has_audio(self) -> bool:
        return self.utterance.audio_filepath.is_file()

    def to_json(self) -> dict[str, Any]:
        """What a page shows of it."""
        u = self.utterance
        return {
            "key": self.key,
            "text": u.text,
            "speaker": u.speaker or "",
            "duration": u.duration,
            "sound": self.has_audio,
        }


@dataclass(frozen=True)
class KeptClips:
    """What a folder holds."""

    clips: list[KeptClip]  # as they stand in the manifest
    deleted: list[KeptClip]  # that can be put back, the last one last
    unreadable: int  # rows that no run can use, which stay as they are

    @property
    def seconds(self) -> float:
        """Of all clips that say how long they are."""
        return sum(clip.utterance.duration or 0.0 for clip in self.clips)


class GoneError(UserError):
    """The row is not in the manifest any more, or was changed since it was shown."""

    def __init__(self) -> None:
        super().__init__("this clip was changed meanwhile; look at it again")


@dataclass(frozen=True)
class _Deleted:
    line: bytes
    place: int  # among the manifest's lines, from 0

    def to_json(self) -> bytes:
        row = {"line": self.line.decode(), "place": self.place}
        return json_line(row)

    @classmethod
    def from_json(cls, line: bytes) -> _Deleted:
        row = json.loads(line)
        return cls(str(row["line"]).encode(), int(row["place"]))


class CorrectedClips:
    """A folder with `manifest.jsonl` and the audio it names.

    Its files are for their owner alone, whatever the umask: it is people's voices.
    """

    def __init__(self, folder: Path) -> None:
        """Raises UserError where `folder` cannot be one to keep clips in."""
        self.folder = real_path(folder)
        self.manifest = self.folder / "manifest.jsonl"
        self._bin = self.folder / "deleted.jsonl"
        self._lock = threading.Lock()
        if self.folder.exists() and not self.folder.is_dir():
            raise UserError(f"{folder}: is a file; give a folder to keep clips in")
        with suppress(OSError):  # told when something is kept
            first = b"".join(_lines(self.manifest))[:16].removeprefix(_BOM).lstrip()
            if first.startswith((b"[", b"\x1f\x8b")):
                raise UserError(
                    f"{self.manifest}: is a JSON array or compressed, and rows cannot be added to "
                    "it; give another folder"
                )

    def __len__(self) -> int:
        return len(self.listed().clips)

    def listed(self) -> KeptClips:
        """What is kept. Raises UserError where it cannot be read."""
        with self._errors("read"):
            lines, deleted = _lines(self.manifest), self._deleted()
        rows = [self._clip(line) for line in lines if line.strip()]
        clips = [clip for clip in rows if clip is not None]
        there = {clip.key for clip in clips}  # one that was half deleted or half put back is there
        gone = [clip for d in deleted if (clip := self._clip(d.line)) and clip.key not in there]
        return KeptClips(clips, gone, len(rows) - len(clips))

    def find(self, key: str) -> KeptClip:
        """Raises UserError if there is none."""
        for clip in self.listed().clips:
            if clip.key == key:
                return clip
        raise GoneError

    def add(
        self,
        samples: np.ndarray,
        text: str,
        speaker: str,
        prompt: str | None = None,
        replaces: str | None = None,
        heard: str | None = None,
    ) -> int:
        """Keep a clip, float32 mono 16 kHz (samples,); returns how many the manifest has.

        `prompt` is the sentence that was to be read, which the row remembers also when its text is
        mended. `replaces` is the key of a clip whose place it takes, and which is deleted. `heard`
        is what a model wrote, which the row remembers where the text is another.

        Raises UserError for a text or a speaker that cannot be, a folder that cannot be written, or
        a clip to replace that is gone.
        """
        text, speaker = _checked(text, speaker)
        name = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
        row = {
            "audio_filepath": f"audio/{name}.flac",
            "text": text,
            "duration": round(len(samples) / SAMPLE_RATE_HZ, 3),
            "speaker": speaker or None,
            "id": name,
        } | ({} if prompt is None else {"prompt": prompt})
        if heard and heard != text:
            row["heard"] = heard
        audio = self.folder / "audio"
        with self._changing() as lines:
            place = len(lines) if replaces is None else _place(lines, replaces)
            audio.mkdir(mode=0o700, exist_ok=True)
            if audio.is_symlink():
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(audio))
            write_flac(audio / f"{name}.flac", samples)
            replaced = lines[place : place + 1]
            lines[place : place + 1] = [json_line(row)]
            if replaced:  # first, as in `delete`
                self._write_bin([*self._deleted(), _Deleted(replaced[0], place)])
            self._write(lines)
        return len(self)

    def change(self, key: str, text: str, speaker: str) -> KeptClip:
        """Write another text and speaker into a row. Raises UserError as `add` does, and if the row
        is gone."""
        text, speaker = _checked(text, speaker)
        with self._changing() as lines:
            place = _place(lines, key)
            row = json.loads(lines[place].removeprefix(_BOM))
            if row.get(written_name(row, "text")) != text:
                row.pop("target", None)  # was made of the old text
            row[written_name(row, "text")] = text
            row[written_name(row, "speaker")] = speaker or None
            lines[place] = json_line(row)
            self._write(lines)
        changed = self._clip(lines[place])
        assert changed is not None
        return changed

    def delete(self, key: str) -> None:
        """Take a row out of the manifest. Row and audio stay until `erase`, and can be put back."""
        with self._changing() as lines:
            place = _place(lines, key)
            # First: a crash in between leaves the row in both, which counts as not deleted.
            self._write_bin([*self._deleted(), _Deleted(lines[place], place)])
            self._write([line for i, line in enumerate(lines) if i != place])

    def restore(self, key: str) -> None:
        """Put a deleted row back where it was. Raises UserError if it is gone."""
        with self._changing() as lines:
            deleted = self._deleted()
            found = [d for d in deleted if _key(d.line) == key]
            if not found:
                raise GoneError
            if not any(_key(line) == key for line in lines):
                lines.insert(min(found[-1].place, len(lines)), found[-1].line)
                self._write(lines)
            self._write_bin([d for d in deleted if d is not found[-1]])

    def erase(self, last: str | None = None) -> int:
        """Remove what was deleted for good, with its audio where that lies in this folder and no
        row names it; returns how many files. `last` is the key of the one that was deleted last:
        what was deleted after it stays. Raises UserError if that is gone."""
        with self._changing() as lines:
            bin_ = self._deleted()
            keys = [_key(deleted.line) for deleted in bin_]
            if last is not None and last not in keys:
                raise GoneError
            end = len(keys) if last is None else len(keys) - keys[::-1].index(last)
            left = [self._clip(line) for line in [*lines, *(d.line for d in bin_[end:])]]
            used = {clip.utterance.audio_filepath for clip in left if clip is not None}
            count = 0
            for deleted in bin_[:end]:
                clip = self._clip(deleted.line)
                if clip is not None and self._is_own(clip.utterance.audio_filepath, used):
                    clip.utterance.audio_filepath.unlink()
                    count += 1
            if bin_[end:]:
                self._write_bin(bin_[end:])
            else:
                self._bin.unlink(missing_ok=True)
        return count

    def _is_own(self, audio: Path, used: set[Path]) -> bool:
        folder = self.folder / "audio"
        inside = audio.parent == folder and not folder.is_symlink()
        return inside and audio not in used and audio.is_file() and not audio.is_symlink()

    def _clip(self, line: bytes) -> KeptClip | None:
        """A line as a clip; None where no run could use it."""
        with suppress(ValueError):
            row = line.removeprefix(_BOM)
            utterance = parse_line(row, self.folder, str(self.manifest))
            prompt = json.loads(row).get("prompt")
            return KeptClip(_key(line), utterance, prompt if isinstance(prompt, str) else None)
        return None

    def _deleted(self) -> list[_Deleted]:
        deleted = []
        for line in _lines(self._bin):
            with suppress(ValueError, KeyError, TypeError):
                deleted.append(_Deleted.from_json(line))
        return deleted

    def _write(self, lines: list[bytes]) -> None:
        write_bytes(self.manifest, b"".join(line + b"\n" for line in lines), _PRIVATE)

    def _write_bin(self, deleted: list[_Deleted]) -> None:
        write_bytes(self._bin, b"".join(d.to_json() + b"\n" for d in deleted), _PRIVATE)

    @contextmanager
    def _changing(self) -> Iterator[list[bytes]]:
        """The manifest's lines, with no other thread or process changing them meanwhile."""
        with self._lock, self._errors("kept"):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with exclusive_file(self.manifest):
                if not (self.folder / "audio").is_symlink():
                    remove_left_over(self.folder / "audio")
                yield _lines(self.manifest)

    @contextmanager
    def _errors(self, done: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            why = "a link, which may lead anywhere" if error.errno == errno.ELOOP else error
            raise UserError(f"the clip cannot be {done} in {self.folder} ({why})") from None


def _key(line: bytes) -> str:
    return hashlib.sha256(line.strip()).hexdigest()[:24]


def _place(lines: list[bytes], key: str) -> int:
    for i, line in enumerate(lines):
        if line.strip() and _key(line) == key:
            return i
    raise GoneError


def _lines(file: Path) -> list[bytes]:
    """A file's lines; none where there is no file. Raises OSError where it is a link or a pipe."""
    try:
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        with os.fdopen(os.open(file, flags), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise OSError(errno.EINVAL, "no regular file", str(file))
            lines = stream.read().split(b"\n")
    except FileNotFoundError:
        return []
    return lines if lines[-1].strip() else lines[:-1]


def checked_speaker(speaker: str) -> str:
    """A speaker as a row has it, "" for none. Raises UserError."""
    return _line(speaker, _SPEAKER_CHARACTERS, "speaker") if speaker.strip() else ""


def _checked(text: str, speaker: str) -> tuple[str, str]:
    """Text and speaker as a row has them. Raises UserError."""
    return _line(text, MOST_CHARACTERS, "text"), checked_speaker(speaker)


def _line(text: str, most: int, what: str) -> str:
    """A line of text, its spaces single. Raises UserError."""
    text = " ".join(text.split())
    if not text:
        raise UserError(f"the {what} is empty; write what was said")
    if len(text) > most:
        raise UserError(f"the {what} has {len(text):,} characters; {most:,} at most")
    if not text.isprintable():
        raise UserError(f"the {what} holds characters that cannot be seen; type it again")
    return text
