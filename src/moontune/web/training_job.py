"""A training that a page starts: `moontune run` in a process of its own, watched by what it
prints."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from moontune.errors import ACCEPTED, NOT_ACCEPTED, UserError
from moontune.pipeline.run_folder.opening import open_run
from moontune.report.results.metrics import RunMetrics
from moontune.web.next_training import NextTraining
from moontune.web.requests import Refused

TRAINING_PATHS = ("/training", "/training/start", "/training/stop")
_STAGE = re.compile(r"\[(\d+)/(\d+)\] (\w+): (.+)")


@dataclass
class _Job:
    """A training that was started."""

    process: subprocess.Popen[str]
    run: str  # its folder
    stage: str = ""
    line: str = ""  # the last that it printed
    mistake: str = ""  # the last on its standard error
    stopping: bool = False  # a second signal would end it at once, unsaved
    readers: list[threading.Thread] = field(default_factory=list)


class TrainingJob:
    """The trainings of a page, one at a time."""

    def __init__(
        self,
        training: NextTraining,
        output_dir: Path = Path("outputs"),
        program: Sequence[str] = (sys.executable, "-m", "moontune"),
    ) -> None:
        self._training, self._output_dir, self._program = training, output_dir, program
        self._lock = threading.Lock()
        self._job: _Job | None = None

    def start(self) -> None:
        """Raises UserError while one is running."""
        with self._lock:
            if self._job is not None and self._job.process.poll() is None:
                raise UserError("a training is running already")
            name = f"page-{time.strftime('%Y%m%d-%H%M%S')}"
            place = ["--output-dir", str(self._output_dir), "--run-name", name]
            process = subprocess.Popen(
                [*self._program, "run", *self._training.words, *place],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,  # Ctrl-C in the terminal is for the page, which ends it
            )
            job = self._job = _Job(process, str(self._output_dir / name))
        for read, stream in ((_follow, process.stdout), (_listen, process.stderr)):
            job.readers.append(threading.Thread(target=read, args=(job, stream), daemon=True))
            job.readers[-1].start()

    def stop(self) -> None:
        """Have it finish its update and save; nothing where none is running."""
        with self._lock:
            job = self._job
            if job is not None and job.process.poll() is None and not job.stopping:
                job.stopping = True
                job.process.send_signal(signal.SIGINT)

    def end(self, tell: Callable[[str], None]) -> None:
        """Stop the one that runs and wait until it is saved; `tell` gets how it is gone on with."""
        job = self._job
        if job is None or job.process.poll() is not None:
            return
        tell("the training that was started here ends with its update, and is saved")
        self.stop()
        job.process.wait()
        for reader in job.readers:
            reader.join(timeout=5)
        tell(job.mistake or f"it is in {job.run}")

    def state(self) -> dict[str, Any]:
        """What the page shows: how far it is, or what came of it; nothing before the first."""
        job = self._job
        if job is None:
            return {"running": False, "says": [], "commands": []}
        code = job.process.poll()
        if code is None:
            return {"running": True, "stage": job.stage, "line": job.line}
        for reader in job.readers:
            reader.join(timeout=5)
        return {"running": False} | _outcome(job, code)


@contextmanager
def training_job(training: NextTraining, tell: Callable[[str], None]) -> Iterator[TrainingJob]:
    """The trainings of a page while it is open; one that runs at its end is stopped and saved."""
    job = TrainingJob(training)
    try:
        yield job
    finally:
        job.end(tell)


def _follow(job: _Job, stream: Any) -> None:
    for line in stream:
        if found := _STAGE.match(line):
            job.stage = f"Step {found[1]} of {found[2]}: {found[4]}"
            job.line = ""
        elif line.strip():
            job.line = line.strip()


def _listen(job: _Job, stream: Any) -> None:
    for line in stream:
        if line.startswith("moontune: "):
            job.mistake = line.strip().removeprefix("moontune: ")


def _outcome(job: _Job, code: int) -> dict[str, Any]:
    """What came of a training that has ended."""
    if code not in (ACCEPTED, NOT_ACCEPTED):
        says = job.mistake or job.line or f"the training ended with code {code}"
        return {"says": [says], "commands": [], "failed": True}
    metrics = RunMetrics.from_json(open_run(Path(job.run)).read("metrics.json"))
    says = [metrics.verdict.sentence, *metrics.verdict.cautions]
    says += metrics.new_clips.sentences if metrics.new_clips else []
    use = [shlex.join(["moontune", "serve", job.run])] if code == ACCEPTED else []
    return {"says": says, "commands": use, "page": f"{job.run}/report.html"}


async def training_request(request: Request, job: TrainingJob) -> dict[str, Any]:
    """The answer to a request for one of TRAINING_PATHS: its state as it is then."""
    match request.url.path:
        case "/training/start":
            await run_in_threadpool(job.start)
        case "/training/stop":
            await run_in_threadpool(job.stop)
        case "/training":
            pass
        case _:
            raise Refused(404, "no such address")
    return await run_in_threadpool(job.state)
