"""Verbs of single stages on an existing run: `moontune clean outputs/NAME` and the others."""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moontune.cli.arguments import parse
from moontune.cli.stages import do_stages
from moontune.config.flag_marks import Positional
from moontune.config.schema import RunConfig
from moontune.config.validation import resolve
from moontune.errors import UserError
from moontune.languages.table import speaking
from moontune.pipeline.base_of_run import of_another_base, telling_where_base_was
from moontune.pipeline.consensus.domain_text import require_beams
from moontune.pipeline.preflight import check_model, check_words
from moontune.pipeline.run_folder.lock import exclusive_run
from moontune.pipeline.run_folder.opening import single_run
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.pipeline.runner import refuse_lacking, refuse_lost_audio
from moontune.pipeline.stages import STAGE_NAMES, Stage, stage_named, stale_after
from moontune.system.distributed import ProcessGroup


@dataclass(frozen=True)
class StageArgs:
    """A stage on a run."""

    run: Positional[Path]
    """The run's folder, outputs/NAME."""
    overwrite: bool = False
    """Do the stage again, with the settings given here, where it is done."""


def do_stage(verb: str, argv: list[str], group: ProcessGroup, held: ExitStack) -> int:
    """One stage on an existing run; flags change the settings that this stage obeys."""
    run, config = group.on_main(lambda: _run_and_settings(stage_named(verb), argv, held))
    code = do_stages(run, config, [verb], group)
    following = STAGE_NAMES[STAGE_NAMES.index(verb) + 1 :]
    if following and group.is_main:
        print(f"next: moontune {following[0]} {run.path}")
    return code


def _run_and_settings(stage: Stage, argv: list[str], held: ExitStack) -> tuple[RunDir, RunConfig]:
    """The run that a stage is to be done on, and its configuration with this line's flags."""
    args = _parsed(stage, argv, RunConfig())
    run = single_run(args.run)
    if run.whole != run and stage.name in ("sample", "clean", "split"):
        raise UserError(
            f"{run.path}: its clips and splits are what {run.whole.path} gave it, and no fold or "
            "trial changes them by itself"
        )
    held.enter_context(exclusive_run(run.path))
    saved = run.config()
    args = _parsed(stage, argv, saved)
    if stage.name == "evaluate" and args.terms.has_text:
        require_beams(run)
    config = resolve(dataclasses.replace(saved, **{s: getattr(args, s) for s in stage.sections}))
    if config != saved:
        config = of_another_base(config, saved)
    held.enter_context(speaking(config.language))
    check_words(config)
    refuse_lacking(run, stage)  # before libraries are loaded to look for model and device
    _refuse_done(run, stage, overwrite=args.overwrite)
    if args.overwrite:
        refuse_lost_audio(run, stage)
    if stage.name == "train":
        run.refuse_retired()
    if stage.computes:
        with telling_where_base_was(run, saved.model.model_id):
            found = check_model(config)
        for text in found:
            print(f"remark: {text}")
    if args.overwrite and "train" in (stage.name, *stale_after(stage)):
        run.checkpoint.unlink(missing_ok=True)
    run.add_command([stage.name, *argv])
    config = run.words.keep(config)
    run.save_config(config)  # what is interrupted is gone on with as it was
    return run, config


def _parsed(stage: Stage, argv: list[str], saved: RunConfig) -> Any:
    """`StageArgs`, and the sections of the configuration that the stage obeys."""
    fields: list[Any] = [
        (s, type(getattr(saved, s)), dataclasses.field(default=getattr(saved, s)))
        for s in stage.sections
    ]
    bases = (StageArgs,)
    cls = dataclasses.make_dataclass("Args", fields, bases=bases, frozen=True)
    cls.__doc__ = f"{stage.summary.capitalize()}: one stage, on a run that has those before it."
    return parse(cls, argv, prog=f"moontune {stage.name}")


def _refuse_done(run: RunDir, stage: Stage, *, overwrite: bool) -> None:
    done = run.stages()
    if stage.name not in done or stage.name in ("report", "verdict") or overwrite:
        return
    later = [name for name in stale_after(stage) if name in done]
    stale = f" (then also stale: {', '.join(later)})" if later else ""
    raise UserError(f"{run.path}: stage {stage.name} is done; add --overwrite to redo it{stale}")
