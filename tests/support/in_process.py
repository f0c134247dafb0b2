"""The artifact test in the process of the tests: a fresh one loads torch again, for seconds."""

from __future__ import annotations

import contextlib
import io
import subprocess
from types import SimpleNamespace


def run(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
    """`python -P -m moontune.cli.run_stt ...`, as `subprocess.run` would."""
    from moontune.cli import run_stt

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run_stt.main(words[4:])
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


ARTIFACT = "moontune.pipeline.stages.artifact.subprocess"  # what is patched
IN_PROCESS = SimpleNamespace(run=run, DEVNULL=subprocess.DEVNULL)  # with this
