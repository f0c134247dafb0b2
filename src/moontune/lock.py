"""One process at a time on a run's folder. No torch here."""

from __future__ import annotations

import json
import os
import shlex
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moontune.errors import UserError
from moontune.files import remove_left_over


@contextmanager
def alone_on(run: Path) -> Iterator[None]:
    """Within the block no other process of moontune works on the run's folder, there or not yet.

    A fold or a trial is locked as the run that it is part of. The system lets go of the lock when
    its process ends, however it ends; what that one left half written is removed. Raises UserError
    where the folder is taken, and says by whom.
    """
    whole = _outermost(Path(run).absolute())
    whole.parent.mkdir(parents=True, exist_ok=True)
    file = whole.parent / f".{whole.name}.lock"
    handle = _locked(file, whole)
    try:
        remove_left_over(whole)
        yield
    finally:
        file.unlink(missing_ok=True)
        os.close(handle)


def _outermost(run: Path) -> Path:
    while (run.parent / "run.json").is_file():
        run = run.parent
    return run


def _locked(file: Path, run: Path) -> int:
    """An open file with the system's lock on it."""
    import fcntl

    while True:
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            whose = _read(handle)
            os.close(handle)
            raise UserError(
                f"{run}: {whose} works on it; wait for it to end, or give another --run-name"
            ) from None
        except OSError:  # a file system without locks
            return handle
        if _is_still(file, handle):
            os.ftruncate(handle, 0)
            os.write(handle, json.dumps(_me()).encode())
            return handle
        os.close(handle)  # its last owner removed it in between


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
