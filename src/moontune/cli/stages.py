"""Stages done under the user's eyes: display, log, and how to go on after what stops them."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence

from moontune.cli.console import ConsoleUi
from moontune.config.schema import RunConfig
from moontune.errors import ACCEPTED, NOT_ACCEPTED, UserError
from moontune.pipeline.run_folder.commands import resume_command
from moontune.pipeline.run_folder.log import RunLog
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.pipeline.runner import run_stage
from moontune.pipeline.stages import STAGE_NAMES, stage_named
from moontune.system.distributed import SINGLE, ProcessGroup
from moontune.system.fast_imports import quiet_libraries


def do_stages(
    run: RunDir, config: RunConfig, names: Sequence[str], group: ProcessGroup = SINGLE
) -> int:
    """Run stages with progress; the exit code says whether a finished run is accepted."""
    quiet_libraries()
    with shown(run, group) as ui:
        for stage in map(stage_named, names):
            ui.stage(stage.name, stage.summary, STAGE_NAMES.index(stage.name) + 1, len(STAGE_NAMES))
            run_stage(run, config, stage, ui, group)
    ends_run = not names or names[-1] in ("verdict", "report")
    if not ends_run or not group.is_main or "verdict" not in run.stages():
        return ACCEPTED  # the main process tells the verdict
    from moontune.pipeline.stages.next_steps import reached_from_here

    metrics = run.metrics()
    ui.verdict(reached_from_here(run, metrics))
    print(f"run: {run.path}")
    return ACCEPTED if metrics.accepted else NOT_ACCEPTED


@contextlib.contextmanager
def shown(run: RunDir, group: ProcessGroup = SINGLE) -> Iterator[ConsoleUi]:
    """The console of the main process; the others keep silent. Failures are logged.

    Ctrl-C, and a disk that is full or gone, say within the block how to go on later.
    """
    log = RunLog(run.path)
    ui = ConsoleUi(None, log) if group.is_main else ConsoleUi(io.StringIO())
    try:
        with (
            log.failures() if group.is_main else contextlib.nullcontext(),
            _telling_resume(run),
        ):
            yield ui
    finally:
        ui.close()


@contextlib.contextmanager
def _telling_resume(run: RunDir) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        if not run.stages():  # nothing to go on with
            raise
        raise KeyboardInterrupt(f"; go on with: {resume_command(run)}") from None
    except OSError as error:
        if error.strerror is None or not run.stages():
            raise
        place = f"{error.filename}: " if error.filename else ""
        raise UserError(
            f"{place}{error.strerror}; mend that, then go on with: {resume_command(run)}"
        ) from error


def stages_left(run: RunDir, names: Sequence[str]) -> list[str]:
    """Those of the stages that the run has not done."""
    done = run.stages()
    return [name for name in names if name not in done]
