"""Archives unpacked into a folder of their own: nothing outside of it, no links, no bombs."""

from __future__ import annotations

import lzma
import re
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO

from moontune.importing.values import DamagedSourceError

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_MOST_FILES = 2_000_000
# Sound is packed to a third at best; what unpacks to a hundred times its size is no data set.
_MOST_TIMES, _ALWAYS_BYTES = 100, 2**30
_ROOM_BYTES = 500_000_000  # to be left free on the disk
_BLOCK = 2**20


class _Limit:
    """Counts what is unpacked. Raises DamagedSourceError when that is too much."""

    def __init__(self, archive: Path, folder: Path) -> None:
        size = archive.stat().st_size
        free = shutil.disk_usage(folder).free - _ROOM_BYTES
        self._archive, self._free = archive, free
        self._most = max(_ALWAYS_BYTES, _MOST_TIMES * size)
        self._bytes = 0
        self._written: set[str] = set()

    def file(self, place: Path) -> None:
        """Of several members of one name the last is meant: tar appends what has changed."""
        if (name := str(place)) in self._written:
            place.unlink()
        self._written.add(name)
        if len(self._written) > _MOST_FILES:
            raise DamagedSourceError(
                f"{self._archive}: holds over {_MOST_FILES:,} files; divide it"
            )

    def add(self, size: int) -> None:
        self._bytes += size
        if self._bytes > self._most:
            raise DamagedSourceError(
                f"{self._archive}: unpacks to over {self._most / 1e9:.0f} GB, which is no data "
                "set's; unpack it yourself and give the folder"
            )
        if self._bytes > self._free:
            raise DamagedSourceError(
                f"{self._archive}: unpacked, it does not fit on the disk; make room, or unpack it "
                "elsewhere and give the folder"
            )


def is_archive(path: Path) -> bool:
    """Whether a file is named as an archive that is unpacked."""
    return path.is_file() and path.name.lower().endswith(SUFFIXES)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack an archive into an empty folder.

    Links and devices in it are left out. Raises DamagedSourceError for one that is damaged, after
    what could be read is there, or names a file outside of itself, or would fill the disk.
    """
    limit = _Limit(archive, folder)
    try:
        if archive.name.lower().endswith(".zip"):
            _unzip(archive, folder, limit)
        else:
            _untar(archive, folder, limit)
    except DamagedSourceError:
        raise
    except (OSError, EOFError, RuntimeError, ValueError, zlib.error, *_BROKEN) as error:
        raise DamagedSourceError(f"{archive}: cannot be unpacked ({error}); get it again") from None


_BROKEN = (zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError)


def _unzip(archive: Path, folder: Path, limit: _Limit) -> None:
    with zipfile.ZipFile(archive) as packed:
        members = [m for m in packed.infolist() if not m.is_dir()]
        places = [_inside(folder, member.filename, archive) for member in members]
        for member, place in zip(members, places, strict=True):
            if (member.external_attr >> 16) & 0o170000 != 0o120000:  # no link
                _write(lambda m=member: packed.open(m), place, limit)


def _untar(archive: Path, folder: Path, limit: _Limit) -> None:
    with tarfile.open(archive, "r|*") as packed:
        for member in packed:
            place = _inside(folder, member.name, archive)
            if member.isreg():
                _write(lambda m=member: packed.extractfile(m), place, limit)


def _inside(folder: Path, name: str, archive: Path) -> Path:
    """A member's place. Raises DamagedSourceError for one outside of the folder."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    away = not parts or ".." in parts or parts[0] == "/" or re.match(r"[A-Za-z]:", parts[0])
    if (away and name not in (".", "./")) or "\0" in name:
        raise DamagedSourceError(
            f"{archive}: names a file outside of itself ({name[:80]!r}), and is not unpacked; get "
            "it from where it comes from"
        )
    return folder.joinpath(*parts)


def _write(opened: Callable[[], IO[bytes] | None], place: Path, limit: _Limit) -> None:
    limit.file(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    stream = opened()
    assert stream is not None  # it is a file
    with stream, open(place, "xb") as file:
        try:
            while block := stream.read(_BLOCK):
                limit.add(len(block))
                file.write(block)
        except BaseException:
            place.unlink(missing_ok=True)
            raise
