"""A run's folder made: a new one, or a run of its own from another's stages."""

from __future__ import annotations

import re
import shutil
import time
from dataclasses import replace
from pathlib import Path

from moontune.config.schema import RunConfig
from moontune.errors import UserError
from moontune.pipeline.run_folder.commands import resume_command
from moontune.pipeline.run_folder.environment import environment
from moontune.pipeline.run_folder.files import BASE_WORDS, REVERSED, SUSPECTS
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.system.files import new_folder, write_json

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_BEFORE_TRAINING = (
    "split.json",
    BASE_WORDS,
    REVERSED,
    SUSPECTS,
    *(f"{what}eval_base.json" for what in ("", "general_")),
    *(f"{what}predictions_base.jsonl" for what in ("", "general_")),
)


def new_run_path(config: RunConfig, *, overwrite: bool) -> Path:
    """Where the run will be. Raises UserError if that cannot be, changing nothing."""
    name = config.output.run_name or _default_name(config)
    if not _NAME.fullmatch(name):
        raise UserError(
            f"--run-name {name!r} cannot name a folder; use letters, digits, '.', '_' and '-'"
        )
    path = config.output.output_dir / name
    if path.exists() and not path.is_dir():
        raise UserError(f"{path}: is a file; give another --run-name")
    if path.is_dir() and any(path.iterdir()):
        _refuse_what_is_there(path, overwrite=overwrite)
    return path


def _default_name(config: RunConfig) -> str:
    return f"{config.data.source}-{time.strftime('%Y%m%d-%H%M%S')}"


def _refuse_what_is_there(path: Path, *, overwrite: bool) -> None:
    if not (path / "run.json").is_file():
        raise UserError(
            f"{path}: is not a run of moontune, so it is not overwritten; give another --run-name"
        )
    if not overwrite:
        raise UserError(
            f"{path}: exists already; add --overwrite to replace it, give another --run-name, or "
            f"go on with it: {resume_command(RunDir(path))}"
        )


def create_run(
    config: RunConfig, folder: Path, name: str, command: list[str], kind: str = "run"
) -> RunDir:
    """Begin a run in an empty folder."""
    run = RunDir(folder)
    run.save_config(config)
    run.words.keep(config)
    record = {
        "name": name,
        "kind": kind,
        "environment": environment(command),
        "stages": {},
        "complete": False,
    }
    write_json(run / "run.json", record)
    run.log_command(command)
    return run


def fork_run(run: RunDir, path: Path, config: RunConfig, stages: list[str]) -> RunDir:
    """A run of its own in `path` that has done `stages`, all before training, as `run` has.

    Its configuration is `config` but for the place.
    """
    run.refuse_retired()
    place = replace(config.output, run_name=path.name, output_dir=path.parent)
    done = run.stages()
    with new_folder(path) as empty:
        config = replace(config, output=place)
        fork = create_run(config, empty, path.name, run.commands()[-1])
        shutil.copytree(run / "manifests", empty / "manifests")
        for file in run.path.iterdir():
            if file.name in _BEFORE_TRAINING:
                shutil.copyfile(file, empty / file.name)
        for name in stages:
            fork.finish_stage(name, done[name])
    return RunDir(path)
