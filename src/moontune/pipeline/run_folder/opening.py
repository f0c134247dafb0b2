"""A run's folder opened, of the kind that is wanted."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from moontune.config.schema import RunConfig
from moontune.errors import UserError
from moontune.pipeline.run_folder.commands import final_command, resume_command
from moontune.pipeline.run_folder.record import KINDS
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.files import real_path, user_path

FINAL = "final"  # folder of the adapter trained on all clips, in the cross-validation's


def open_run(path: Path) -> RunDir:
    """A run's folder that exists. Raises UserError."""
    path = Path(path)
    if not path.exists():
        raise UserError(
            f"{path}: is not a run of moontune: there is no such folder; if it was moved, give its "
            "place now (with --resume: --output-dir and --run-name)"
        )
    if not (path / "run.json").is_file() or not (path / "config.toml").is_file():
        raise UserError(f"{path}: is not a run of moontune; give a folder such as outputs/NAME")
    try:
        RunDir(path).record()["stages"].items()
    except (KeyError, AttributeError):
        raise UserError(f"{path / 'run.json'}: is damaged; start over with --overwrite") from None
    return RunDir(path)


def manifests_of_run(model: str | None) -> list[Path]:
    """The manifests that a run was trained on and that are still there; none of what is no run."""
    if model is None or not (user_path(model) / "run.json").is_file():
        return []
    config = open_run(user_path(model)).config()
    return [real_path(path) for path in config.data.manifest or () if path.is_file()]


def single_run(path: Path) -> RunDir:
    """A run's folder that does not hold several runs. Raises UserError, also for an adapter trained
    on all clips, which has no test split and no verdict."""
    run = open_run(path)
    if run.kind == "final":
        raise UserError(
            f"{run.path}: is {KINDS['final']}, so it has no test split, figures or verdict; what "
            f"to expect of it is in {run / 'report.md'}"
        )
    if run.kind != "run":
        one = run / {"crossval": "fold-1", "sweep": "trial-0"}[run.kind]
        raise UserError(f"{run.path}: is {KINDS[run.kind]}; name one of its runs, such as {one}")
    return run


def adapter_run(path: Path) -> RunDir:
    """A run's folder with one adapter to use: a single run's, or one trained on all clips.

    Raises UserError.
    """
    run = open_run(path)
    if run.kind == "final":
        return run
    if run.kind == "crossval":
        final = run / FINAL
        there = (final / "run.json").is_file()
        remedy = f"use {final}" if there else f"train one on all clips: {final_command(run.path)}"
        raise UserError(
            f"{run.path}: is a cross-validation, which has an adapter a fold and none for all; "
            f"{remedy}"
        )
    return single_run(path)


def pinned_revision(run: RunDir, config: RunConfig) -> str | None:
    """The hub's commit that the run's stages used, or those of another fold of the same
    cross-validation: the newest may be another by now. Else the one asked for."""
    used = (facts["base"] for one in (run, *_folds_beside(run)) for facts in _on_a_base(one))
    return next((base["revision"] for base in used if base["from_hub"]), config.model.revision)


def _on_a_base(run: RunDir) -> list[dict[str, Any]]:
    return [facts for facts in run.stages().values() if "base" in facts]


def _folds_beside(run: RunDir) -> list[RunDir]:
    """The folds of the cross-validation that a run is part of; none if it is of none."""
    whole = RunDir(run.path.resolve().parent)
    if not (whole / "run.json").is_file() or whole.kind != "crossval":
        return []
    return [RunDir(file.parent) for file in sorted(whole.path.glob("fold-*/run.json"))]


def judged_run(run: RunDir) -> RunDir:
    """The same, which has a verdict. Raises UserError where it has none, or none of its own."""
    if "verdict" in run.stages():
        return run
    whole = run.whole
    if whole == run:
        raise UserError(f"{run.path}: is not finished; go on with: {resume_command(run)}")
    part = f"{run.path}: is a part of {whole.path} and has no verdict of its own; read"
    if whole.kind == "crossval":
        used = f"and train an adapter to use: {final_command(whole.path)}"
        raise UserError(f"{part} {whole / 'report.md'}, {used}")
    raise UserError(f"{part} {whole / 'report.md'}")


def _to_evaluate(run: RunDir) -> str:
    """The command that leads to a run's evaluation."""
    trained = "train" in run.stages()
    return shlex.join(["moontune", "evaluate", str(run.path)]) if trained else resume_command(run)


def evaluated_run(path: Path) -> RunDir:
    """A run, or a cross-validation, whose tuned model was measured. Raises UserError."""
    run = open_run(path)
    if run.kind == "final":
        raise UserError(
            f"{path}: is {KINDS['final']}, so it has no figures; give the cross-validation that "
            f"says what to expect: {run.path.parent}"
        )
    if "evaluate" in run.stages():
        return run
    go_on = {
        "run": f"was not evaluated; go on with it: {_to_evaluate(run)}",
        "crossval": f"is not done; go on: moontune crossval --resume --run-name {path.name}",
        "sweep": f"is a sweep; name one of its runs, such as {run / 'trial-0'}",
    }
    raise UserError(f"{path}: {go_on[run.kind]}")
