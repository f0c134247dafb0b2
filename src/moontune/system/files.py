"""Files written whole or not at all."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from moontune.errors import UserError

_UNFINISHED = ".unfinished"  # what a file or folder ends in until it is whole
UMASK = os.umask(0o077)  # the only way to learn it is to set it
os.umask(UMASK)


def real_path(path: Path) -> Path:
    """Absolute and without links; a link that leads to itself stays, and cannot be opened."""
    return Path(os.path.realpath(path))


def user_path(name: str | Path) -> Path:
    """A path as a user writes it, `~` for the home folder; the name itself where it is nobody's."""
    return Path(os.path.expanduser(name))


def is_address(name: str) -> bool:
    """Whether a name is of something on the network, which is fetched by nobody here."""
    return bool(re.match(r"(?:https?|ftp|s3|gs)://", name, re.IGNORECASE))


def accents_written_alike(path: str) -> list[str]:
    """A path, and the same with its accents as one character each, and as a letter and a mark, as
    Macs write them."""
    if path.isascii():
        return [path]
    return list(dict.fromkeys([path, *(unicodedata.normalize(f, path) for f in ("NFC", "NFD"))]))


def write_bytes(path: Path, content: bytes, mode: int | None = None) -> None:
    """Write a file so that a reader sees the old one or the new one, never half of it, also after
    a power cut. Its permissions are `mode`; None: what the umask leaves."""
    write_pieces(path, [content], mode)


def write_pieces(path: Path, pieces: Iterable[bytes], mode: int | None = None) -> None:
    """The same of a file's pieces, which need not be in memory together."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path):
        handle, temporary = tempfile.mkstemp(_UNFINISHED, f".{path.name}~", path.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.writelines(pieces)
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(temporary, 0o666 & ~UMASK if mode is None else mode)
            os.replace(temporary, path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    _settle(path.parent)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Within the block, an error of the system that names no file, as of a full disk, or one that
    is not finished, is told of this path."""
    try:
        yield
    except OSError as error:
        unfinished = error.filename is None or str(error.filename).endswith(_UNFINISHED)
        if unfinished and error.strerror is not None:
            error.filename, error.filename2 = str(path), None
        raise


def _settle(path: Path) -> None:
    """Have a file's content, or a folder's names, on the disk and not only on its way there."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:  # a file system that cannot
        pass
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def json_line(row: Any) -> bytes:
    """A value as a line of JSON Lines, without its end. Half of a surrogate pair, which UTF-8 has
    not, stays the escape that JSON has for it."""
    return json.dumps(row, ensure_ascii=False).encode(errors="backslashreplace")


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    write_pieces(path, (json_line(row) + b"\n" for row in rows))


def refuse_counted_twice(paths: Iterable[Path]) -> None:
    """Raises UserError for a source of clips that is named twice, also by another path."""
    known = set[Path]()
    for path in paths:
        if (real := real_path(path)) in known:
            raise UserError(f"{path}: given twice, so its clips would count twice; give it once")
        known.add(real)


def file_sha256(path: Path) -> str:
    """The hash of a small file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def check_output(path: Path, flag: str, inputs: Iterable[Path] = ()) -> None:
    """Raises UserError if writing there would destroy a run's file or an input, or cannot be."""
    path = real_path(path)
    if path.is_dir():
        raise UserError(f"{flag} {path}: is a folder; name a file")
    if path in [real_path(i) for i in inputs]:
        raise UserError(f"{flag} {path}: is one of the inputs; name another file")
    if any((folder / "run.json").is_file() for folder in path.parents):
        raise UserError(f"{flag} {path}: lies inside a run; name a file outside of it")


AGAIN = "do the stage that makes it again"


def read_json(path: Path, remedy: str = AGAIN) -> dict[str, Any]:
    """The object in a JSON file that moontune wrote itself. Raises UserError, with `remedy`, if it
    is missing or damaged."""
    with mending(path, remedy):
        value = json.loads(Path(path).read_text(encoding="utf-8"))
        if not isinstance(value, dict):
            raise ValueError("expected a JSON object")
        return value


@contextmanager
def mending(path: Path, remedy: str) -> Iterator[None]:
    """Within the block, that a file is not there, or that a value in it is wrong, becomes a
    UserError with `remedy`."""
    try:
        yield
    except FileNotFoundError:
        raise UserError(f"{path}: is missing; {remedy}") from None
    except ValueError as error:
        raise UserError(f"{path}: is damaged ({error}); {remedy}") from None


@contextmanager
def damage_as_user_error(what: Path, remedy: str) -> Iterator[None]:
    """Within the block, values that lack something, or are of another type, become a UserError."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise UserError(
            f"{what}: is damaged or of another moontune ({error!r:.200}); {remedy}"
        ) from error


def read_jsonl(path: Path, remedy: str = AGAIN) -> list[dict[str, Any]]:
    """Rows of a JSONL file that moontune wrote itself. Raises UserError, with `remedy`, if it is
    missing or damaged."""
    with mending(path, remedy):
        lines = Path(path).read_text(encoding="utf-8").split("\n")
        return [_object(line, number) for number, line in enumerate(lines, start=1) if line]


def _object(line: str, number: int) -> dict[str, Any]:
    """The object in a line; raises ValueError with the line's number."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"line {number}: {getattr(error, 'msg', 'nested too deep')}") from None
    if not isinstance(row, dict):
        raise ValueError(f"line {number}: expected a JSON object")
    return row


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder to fill, which replaces `folder` if the block ends without an error."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(_UNFINISHED, f".{folder.name}~", folder.parent))
    try:
        yield temporary
        os.chmod(temporary, 0o777 & ~UMASK)
        for path in [*temporary.rglob("*"), temporary]:
            _settle(path)
        remove_folder(folder)
        os.rename(temporary, folder)
        _settle(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_folder(folder: Path) -> None:
    """Delete a folder if it is there; its name is free at once, even if deleting is cut short."""
    if not folder.exists():
        return
    old = Path(tempfile.mkdtemp(_UNFINISHED, f".{folder.name}~old~", folder.parent))
    os.rename(folder, old / folder.name)
    shutil.rmtree(old, ignore_errors=True)


def remove_left_over(folder: Path) -> None:
    """Delete what a process that was killed left half written of `folder` and in it. Only for one
    that nobody else writes to now."""
    beside = folder.parent.glob(f".{glob.escape(folder.name)}~*{_UNFINISHED}")  # no name has a ~
    for path in [*beside, *folder.rglob(f".*{_UNFINISHED}")]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
