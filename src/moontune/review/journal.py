"""The journal of a review: every decision on the disk before it is answered.

Its first line names the manifest, from the journal's folder on, so that both may be moved
together. Lines are only added; what is taken back stays, with a line that says so. A last line that
a kill left half written was never answered, and is cut off.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from moontune.errors import UserError
from moontune.review.decisions import Decision, Entry
from moontune.system.files import json_line, real_path


class Journal:
    """A file of entries, and the next one's number."""

    def __init__(self, file: Path, manifest: Path, mode: int) -> None:
        """Opens or begins it; a new one gets `mode`. Raises UserError where it cannot be, or is of
        another manifest."""
        self.file = file
        self.entries: list[Entry] = []
        self.unreadable = 0  # lines
        try:
            lines = _whole_lines(file)
            first = _object(lines[0]) if lines else None
            if lines and (first is None or "review_of" not in first):
                raise UserError(f"{file}: is no journal of a review; give another --output")
            if first is not None and not _is_of(str(first["review_of"]), file, manifest):
                raise UserError(
                    f"{file}: is the review of {first['review_of']}; give another --output"
                )
            self._handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _NO_LINK, mode)
            if not lines:
                head = {"review_of": _named(file, manifest), "format": 1}
                self._write(json_line(head))
        except OSError as error:
            raise UserError(
                f"{file}: the review cannot be kept there ({error.strerror}); give --output "
                "another folder"
            ) from None
        for line in lines[1:]:
            self._read(line)

    def _read(self, line: bytes) -> None:
        with suppress(ValueError, KeyError, TypeError, RecursionError):
            self.entries.append(Entry.from_json(json.loads(line)))
            return
        self.unreadable += 1

    @property
    def _next(self) -> int:
        return 1 + max((entry.number for entry in self.entries[-1:]), default=0)

    def decide(self, key: str, decision: Decision) -> Entry:
        """A decision, on the disk. Raises UserError if it cannot be written."""
        return self._add(Entry(self._next, key, decision))

    def take_back(self, entry: Entry) -> Entry:
        """That an entry does not hold any more, on the disk. Raises UserError."""
        return self._add(Entry(self._next, entry.key, undoes=entry.number))

    def _add(self, entry: Entry) -> Entry:
        begun = os.fstat(self._handle).st_size
        try:
            self._write(entry.to_json())
        except OSError as error:
            with suppress(OSError):  # no half line before the next one
                os.ftruncate(self._handle, begun)
            raise UserError(f"{self.file}: not saved ({error.strerror}); try again") from None
        self.entries.append(entry)
        return entry

    def _write(self, line: bytes) -> None:
        left = line + b"\n"
        while left:
            left = left[os.write(self._handle, left) :]
        os.fsync(self._handle)

    def close(self) -> None:
        os.close(self._handle)


_NO_LINK = getattr(os, "O_NOFOLLOW", 0)


def _named(file: Path, manifest: Path) -> str:
    """The manifest as it is found from the journal's folder."""
    try:
        return Path(os.path.relpath(real_path(manifest), real_path(file).parent)).as_posix()
    except ValueError:  # on another drive
        return real_path(manifest).as_posix()


def _is_of(named: str, file: Path, manifest: Path) -> bool:
    """Whether a journal is of a manifest: the one it names, or one of that name where that is no
    more, as after a move. (Journals of before hold the name alone.)"""
    if Path(named).name != manifest.name:
        return False
    there = real_path(file).parent / named
    return named in (manifest.name, _named(file, manifest)) or not there.exists()


def _whole_lines(file: Path) -> list[bytes]:
    """A file's lines, after what a kill left of one is cut off. Raises OSError."""
    try:
        handle = os.open(file, os.O_RDWR | _NO_LINK)
    except FileNotFoundError:
        return []
    with os.fdopen(handle, "r+b") as stream:
        content = stream.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            stream.truncate(whole)
    return content[:whole].split(b"\n")[:-1]


def _object(line: bytes) -> dict[str, Any] | None:
    with suppress(ValueError, RecursionError):
        row = json.loads(line)
        return row if isinstance(row, dict) else None
    return None
