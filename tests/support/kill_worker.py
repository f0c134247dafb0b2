"""Runs moontune in forks that kill themselves at a given file operation: a job a line of its input,
the result a line of its output.

A fork needs no second import of torch. The operations counted are those that could tear something:
opening to write, fsync (with half the content gone, as a power cut may leave it), rename, delete.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

MODULES = (
    "moontune.cli.new_run",
    "moontune.cli.stage_verbs",
    "moontune.pipeline.stages.report",
    "moontune.pipeline.stages.verdict",
    "moontune.evaluation.evaluate",
)
MODULES += ("jiwer", "soundfile", "soxr", "rich.console", "whisper_normalizer.english")
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

        from moontune.cli.dispatch import main
        from moontune.pipeline.stages import artifact
        from moontune.training import checkpoint

        torch.set_num_threads(1)
        checkpoint.SHARE = job["share"]
        killer = Killer(folder, at)
        artifact.subprocess = Forks(killer)  # type: ignore[assignment]
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


class Forks:
    """In place of `subprocess` for the artifact's test, which would import torch again."""

    DEVNULL = subprocess.DEVNULL

    def __init__(self, killer: Killer) -> None:
        self._killer = killer

    def run(self, words: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        child = os.fork()
        if child == 0:
            from moontune.cli import run_stt

            self._killer.at = None  # it is the run that is killed, not this
            os._exit(run_stt.main(words[4:]))
        _, status = os.waitpid(child, 0)
        return subprocess.CompletedProcess(words, os.waitstatus_to_exitcode(status), "", "")


def done(job: dict) -> dict:
    """The folders of a job's runs, and the file operations that the last of them took."""
    operations, kills, folders = 0, list(job["kills"]), []
    while kills or not folders:
        folders.append(Path(job["folder"]) / f"run-{len(folders) + 1}")
        folders[-1].mkdir(parents=True)
        ended = False
        while not ended:
            ended, operations = attempt(job, folders[-1], kills.pop(0) if kills else None)
    return {"folders": [str(f) for f in folders], "operations": operations}


def main() -> None:
    from moontune.system.fast_imports import import_transformers

    import_transformers()
    for name in MODULES:
        importlib.import_module(name)
    for line in sys.stdin:
        print(json.dumps(done(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
