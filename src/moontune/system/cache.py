"""Where moontune keeps what it can make again, and folders there that are whole or absent."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from moontune.system.files import user_path

MARKER = "moontune-complete.json"
_ABANDONED_S = 3600.0  # scratch folders older than this were left by a killed process


def cache_dir() -> Path:
    """`$MOONTUNE_CACHE`, else `$XDG_CACHE_HOME/moontune`, else `~/.cache/moontune`; not created."""
    if own := os.environ.get("MOONTUNE_CACHE"):
        return user_path(own).absolute()
    # The XDG specification: an unset, empty or relative value means the default.
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (shared if shared.is_absolute() else Path.home() / ".cache") / "moontune"


def build_once(folder: Path, build: Callable[[Path], None]) -> Path:
    """`folder`, made by `build(empty_folder)` unless a whole one is there.

    It is built beside its place and renamed, by one process at a time where the file system has
    locks, so no reader sees half of it. Its files' sizes are kept in `MARKER`, written last: one
    that lost a file since, or was cut short by a full disk, is built again. What `build` raises
    passes through; raises OSError if the place cannot be written.
    """
    if _is_complete(folder):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.parent / f".{folder.name}.lock"):
        if _is_complete(folder):  # another process built it while this one waited
            return folder
        for left in folder.parent.glob(f".{folder.name}-*"):
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > _ABANDONED_S:
                    shutil.rmtree(left)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
            built = Path(scratch) / "built"
            built.mkdir()
            build(built)
            _mark(built)
            if folder.exists() and not _is_complete(folder):
                folder.rename(Path(scratch) / "broken")
            try:
                built.rename(folder)
            except OSError:
                if not _is_complete(folder):  # complete: a process without the lock was first
                    raise
    return folder


def _mark(folder: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
    (folder / MARKER).write_text(json.dumps({"bytes": sizes}, indent=2) + "\n", encoding="utf-8")


def _is_complete(folder: Path) -> bool:
    try:
        sizes = json.loads((folder / MARKER).read_bytes())["bytes"]
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock; it falls with the process. The empty file stays and is harmless."""
    with path.open("w") as stream:
        # Without fcntl (Windows) or locks on the file system two processes may both build, and
        # the rename lets one of them win.
        with contextlib.suppress(ImportError, OSError):
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX)
        yield
