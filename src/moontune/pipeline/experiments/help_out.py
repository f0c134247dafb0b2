"""`moontune work`: one more process for a cross-validation or a sweep that another one began."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from moontune.config.flag_marks import Positional
from moontune.errors import UserError
from moontune.languages.table import speaking
from moontune.pipeline.experiments.crossval.folds import do_folds
from moontune.pipeline.experiments.sweep import BEFORE, do_trials
from moontune.pipeline.run_folder.lock import require_locks
from moontune.pipeline.run_folder.opening import open_run
from moontune.pipeline.run_folder.record import KINDS
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.progress import Ui


@dataclass(frozen=True)
class WorkArgs:
    """Take folds of a cross-validation or trials of a sweep that nobody does yet, beside the
    process that began it, and those of a process that died, until all are done. As many of these
    may run as there are machines that see its folder, or GPUs in one."""

    run: Positional[Path]
    """The folder of the cross-validation or sweep, outputs/NAME."""


def run_to_help(path: Path) -> RunDir:
    """Raises UserError for a run that has no parts to take, or not yet."""
    run = open_run(path)
    if run.kind not in ("crossval", "sweep"):
        raise UserError(f"{path}: is {KINDS[run.kind]}; name a cross-validation or a sweep")
    require_locks(run.path)
    prepared = run.kind == "crossval" or set(BEFORE) <= set(run.stages())
    if not prepared or (run.kind == "crossval" and "folds" not in run.record()):
        raise UserError(
            f"{path}: has no {'folds' if run.kind == 'crossval' else 'trials'} yet; wait until its "
            "own command has prepared them"
        )
    return run


def help_out(run: RunDir, ui: Ui) -> None:
    """Do what nobody else does; returns when all is done."""
    config = run.config()
    with speaking(config.language):
        if run.kind == "crossval":
            do_folds(run, ui)
        else:
            do_trials(run, config, ui)
