"""Files of JSON objects, one a line, gzipped or not."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from moontune.importing.values import DamagedSourceError
from moontune.system.formatting import why

_GZIP = b"\x1f\x8b"
_LONGEST_LINE = 2**24  # bytes; what is longer is no line of a manifest, and may be a recording
SUFFIXES = (".jsonl", ".json", ".jsonl.gz", ".json.gz", ".ndjson")


def json_objects(path: Path) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Each line's number and its object; None where it is none. Raises DamagedSourceError, also in
    the middle of a file that is cut off."""
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == _GZIP
            file.seek(0)
            stream: Any = gzip.GzipFile(fileobj=file) if packed else file
            lines = iter(lambda: stream.readline(_LONGEST_LINE), b"")
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, _object(line)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DamagedSourceError(
            f"{path}: is a damaged gzip file ({error}); get it again"
        ) from None
    except OSError as error:
        raise DamagedSourceError(f"{path}: cannot be read ({why(error)})") from None


def head_of(path: Path, size: int) -> bytes:
    """The first bytes of what a file holds, gzipped or not. Raises OSError; nothing where gzip's
    are damaged."""
    with open(path, "rb") as file:
        packed = file.read(2) == _GZIP
        file.seek(0)
        if not packed:
            return file.read(size)
        try:
            with gzip.GzipFile(fileobj=file) as stream:
                return stream.read(size)
        except (EOFError, zlib.error):
            return b""


def first_object(path: Path) -> dict[str, Any] | None:
    """The first line's object; None where it is none, or nothing can be read."""
    try:
        return next(json_objects(path), (0, None))[1]
    except DamagedSourceError:
        return None


def is_json_lines(path: Path) -> bool:
    """Whether a file is named as one."""
    return path.name.lower().endswith(SUFFIXES)


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
