"""Commands that go on with a run."""

from __future__ import annotations

import shlex
from pathlib import Path

from moontune.pipeline.run_folder.record import RunRecord


def final_command(crossval: Path) -> str:
    """The command that trains, or goes on with, the adapter on all clips."""
    return f"moontune final {shlex.quote(str(crossval))}"


def resume_command(run: RunRecord) -> str:
    """The command that goes on with a run, from any folder."""
    if run.kind == "final":
        return final_command(run.path.parent)
    folder = run.path.resolve()
    place = ["--run-name", folder.name, "--output-dir", str(folder.parent)]
    return f"moontune {shlex.join([run.kind, '--resume', *place])}"
