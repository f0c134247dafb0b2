"""One process at a time on a run's folder, on each of its parts, on the report, and on a review."""

from __future__ import annotations

import json
import os
import shlex
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from moontune.errors import UserError
from moontune.system.files import real_path, remove_left_over


@contextmanager
def exclusive_run(run: Path) -> Iterator[None]:
    """Within the block no other process of moontune works on the run's folder, there or not yet.

    A fold or a trial is locked as the run that it is part of, and against helpers (`claimed`). The
    system lets go of the lock when its process ends, however it ends; what that one left half
    written is removed. Raises UserError where the folder is taken, and says by whom.
    """
    run = real_path(run)
    whole = _outermost(run)
    whole.parent.mkdir(parents=True, exist_ok=True)
    remedy = "wait for it to end, or give another --run-name"
    with ExitStack() as held:
        locked = held.enter_context(_exclusive(_lock_of(whole), whole, remedy))
        if run != whole:
            held.enter_context(_exclusive(_lock_of(run), run, "wait for it to end"))
            remove_left_over(run)
        elif locked and not helped(whole):
            remove_left_over(whole)
        yield


@contextmanager
def claimed(part: Path) -> Iterator[bool]:
    """Whether this process alone works on a fold or a trial within the block, of a run that several
    work on. One whose process ended is free again; what that one left half written is removed."""
    part = real_path(part)
    try:
        handle = _locked(_lock_of(part), part, "")
    except _Taken:
        yield False
        return
    try:
        remove_left_over(part)
        yield True
    finally:
        if handle is not None:
            with suppress(OSError):
                _lock_of(part).unlink(missing_ok=True)
            os.close(handle)


def helped(whole: Path) -> bool:
    """Whether another process works on a part of a run now."""
    for lock in real_path(whole).glob(".*.lock"):
        with suppress(FileNotFoundError):
            handle = os.open(lock, os.O_RDONLY)
            try:
                _flock(handle)
            except BlockingIOError:
                return True
            except OSError:  # a file system without locks
                return False
            finally:
                os.close(handle)
    return False


def require_locks(folder: Path) -> None:
    """Raises UserError on a file system without locks, where a claim would hold nobody off."""
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            _flock(file.fileno())
        except OSError as error:
            raise UserError(
                f"{folder}: its file system has no locks ({error.strerror}), so that two processes "
                "would do the same; work on it in one"
            ) from None


def _lock_of(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.lock"


def _flock(handle: int) -> None:
    """The system's lock on an open file, or an error at once."""
    import fcntl

    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


class _Taken(UserError):
    """Another process has the lock."""


@contextmanager
def one_at_a_time(file: Path, remedy: str) -> Iterator[None]:
    """Within the block no other process of moontune works on a file; another is refused.

    Raises UserError, which says by whom it is taken and ends with `remedy`.
    """
    file = real_path(file)
    with _exclusive(file.parent / f".{file.name}.lock", file, remedy):
        yield


@contextmanager
def _exclusive(lock: Path, what: Path, remedy: str) -> Iterator[bool]:
    """The lock while the block lasts; yields whether there can be one. Raises UserError."""
    handle = _locked(lock, what, remedy)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            with suppress(OSError):  # another user's may stay
                lock.unlink(missing_ok=True)
            os.close(handle)


@contextmanager
def exclusive_file(file: Path) -> Iterator[None]:
    """Within the block no other process of moontune changes a file that runs share; another waits.

    What one that was killed left half written of it is removed.
    """
    import fcntl

    file.parent.mkdir(parents=True, exist_ok=True)
    folder = None
    try:
        with suppress(OSError):  # a file system without locks
            folder = os.open(file.parent, os.O_RDONLY)
            fcntl.flock(folder, fcntl.LOCK_EX)
            remove_left_over(file)
        yield
    finally:
        if folder is not None:
            os.close(folder)


def _outermost(run: Path) -> Path:
    while (run.parent / "run.json").is_file():
        run = run.parent
    return run


def _locked(file: Path, what: Path, remedy: str) -> int | None:
    """An open file with the system's lock on it; None where there can be none."""
    while (handle := _opened(file)) is not None:
        try:
            _flock(handle)
        except BlockingIOError:
            whose = _read(handle)
            os.close(handle)
            raise _Taken(f"{what}: {whose} works on it; {remedy}") from None
        except OSError:  # a file system without locks
            return handle
        if _is_still(file, handle):
            with suppress(OSError):  # left by another user, to whom it belongs
                os.ftruncate(handle, 0)
                os.pwrite(handle, json.dumps(_me()).encode(), 0)
            return handle
        os.close(handle)  # its last owner removed it in between
    return None


def _opened(file: Path) -> int | None:
    for how in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
        with suppress(PermissionError, FileNotFoundError):
            return os.open(file, how, 0o644)
    return None  # the folder cannot be written


def _is_still(file: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.stat(file), os.fstat(handle))
    except FileNotFoundError:
        return False


def _me() -> dict[str, object]:
    return {
        "process": os.getpid(),
        "machine": socket.gethostname(),
        "since": time.strftime("%H:%M:%S on %Y-%m-%d"),
        "command": shlex.join(["moontune", *sys.argv[1:]]),
    }


def _read(handle: int) -> str:
    """Who holds the lock, in words."""
    try:
        whose = json.loads(os.pread(handle, 10_000, 0))
        words = f"process {whose['process']} on {whose['machine']}, since {whose['since']}"
        return f"another moontune ({words}: {whose['command'][:200]})"
    except (ValueError, KeyError, TypeError):
        return "another moontune"
