"""Runs moontune in forks that kill themselves at a given file operation: kill_worker.py JOB.json.

A fork needs no second import of torch. The operations counted are those that could tear something:
opening to write, fsync (with half the content gone, as a power cut may leave it), rename, delete.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
from pathlib import Path

COUNTED = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}


class Killer:
    """Counts file operations below a folder, and ends the process before number `at`."""

    def __init__(self, below: Path, at: int | None) -> None:
        self.below, self.at, self.count = str(below), at, 0
        self._fsync = os.fsync
        os.fsync = self.fsync
        sys.addaudithook(self.hook)

    def hook(self, event: str, args: tuple) -> None:
        if event == "open":
            writes = isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
            if writes and self.is_below(args[0]):
                self.operation()
        elif event in COUNTED and self.is_below(args[0]):
            self.operation()

    def is_below(self, path: object) -> bool:
        return isinstance(path, str | Path) and str(path).startswith(self.below)

    def fsync(self, handle: int) -> None:
        if self.operation(kill=False) and stat.S_ISREG(os.fstat(handle).st_mode):
            os.ftruncate(handle, os.fstat(handle).st_size // 2)
        if self.count == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        self._fsync(handle)

    def operation(self, *, kill: bool = True) -> bool:
        self.count += 1
        if self.count == self.at and kill:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.count == self.at


def attempt(job: dict, folder: Path, at: int | None) -> tuple[bool, int]:
    """One process that begins the run or goes on with it; whether it ended, after how many
    operations."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        with open(folder / "output.txt", "a") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        import torch

        from moontune import checkpoint
        from moontune.cli import main

        torch.set_num_threads(1)
        checkpoint.SHARE = job["share"]
        killer = Killer(folder, at)
        going_on = ["--resume"] if (folder / "outputs/r/run.json").is_file() else []
        code = main(["run", *going_on, *job["flags"]])
        os.write(writing, json.dumps([code, killer.count]).encode())
        os._exit(0)
    os.close(writing)
    _, status = os.waitpid(child, 0)
    said = os.read(reading, 1000)
    os.close(reading)
    if os.WIFSIGNALED(status):
        return False, 0
    if not said:
        raise SystemExit((folder / "output.txt").read_text())
    code, count = json.loads(said)
    if code not in (0, 1):
        raise SystemExit((folder / "output.txt").read_text())
    return True, count


def main() -> None:
    from moontune.lean import import_transformers

    job = json.loads(Path(sys.argv[1]).read_text())
    import_transformers()
    folder = Path(job["folder"])
    folder.mkdir()
    killed, counts = 0, []
    for at in [*job["kills"], None]:
        ended, count = attempt(job, folder, at)
        killed += not ended
        counts.append(count)
        if ended:
            break
    Path(job["result"]).write_text(json.dumps({"killed": killed, "operations": counts[-1]}))


if __name__ == "__main__":
    main()
