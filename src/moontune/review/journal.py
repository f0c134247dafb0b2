"""The journal of a review: every decision on the disk before it is answered.

Its first line names the manifest. Lines are only added; what is taken back stays, with a line that
says so. A last line that a kill left half written was never answered, and is cut off.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from moontune.errors import UserError
from moontune.review.decisions import Decision, Entry
from moontune.system.files import json_line


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
            if first is not None and first["review_of"] != manifest.name:
                raise UserError(
                    f"{file}: is the review of {first['review_of']}; give another --output"
                )
            self._handle = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _NO_LINK, mode)
            if not lines:
                head = {"review_of": manifest.name, "format": 1}
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
