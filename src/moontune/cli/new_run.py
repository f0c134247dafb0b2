"""Verbs that begin a run or go on with it: run, sample, crossval, final, sweep."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, TypeVar

from moontune.cli.arguments import asks_help, flag_value, given, parse
from moontune.cli.run_args import CrossvalArgs, NewRunArgs, SweepArgs
from moontune.cli.stages import do_stages, shown, stages_left
from moontune.config.loading import RETIRED, retired, with_settings
from moontune.config.schema import RunConfig
from moontune.errors import ACCEPTED, NOT_ACCEPTED, UserError
from moontune.importing.on_the_way import with_imported
from moontune.pipeline.new_run import (
    RunKind,
    Start,
    begin_run,
    resume_run,
    with_file,
    with_preset,
)
from moontune.pipeline.run_folder.creating import new_run_path
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.pipeline.stages import STAGE_NAMES
from moontune.system.distributed import ProcessGroup
from moontune.system.fast_imports import quiet_libraries
from moontune.system.formatting import printable

Args = TypeVar("Args", bound=NewRunArgs)


def run(argv: list[str], group: ProcessGroup, held: ExitStack) -> int:
    """All stages of a run; the exit code says whether it is accepted."""

    def begun() -> tuple[RunDir, RunConfig]:
        return _begun(_parsed(NewRunArgs, argv, "run"), RunKind(), ["run", *argv], held)

    folder, config = group.on_main(begun)
    left = group.on_main(lambda: stages_left(folder, STAGE_NAMES))
    return do_stages(folder, config, left, group)


def sample(argv: list[str], group: ProcessGroup, held: ExitStack) -> int:
    """The first stage of a run."""
    args = _parsed(NewRunArgs, argv, "sample")
    if args.resume:
        raise UserError("--resume: sample only begins a run; use: moontune run --resume")
    folder, _ = _begun(args, RunKind(), ["sample", *argv], held, needs_model=False)
    print(f"next: moontune clean {folder.path}")
    return ACCEPTED


def crossval(argv: list[str], group: ProcessGroup, held: ExitStack) -> int:
    """A run for every fold of speakers, and their figures together."""
    from moontune.pipeline.experiments.crossval.folds import BEFORE, Crossval, do_folds, make_folds
    from moontune.pipeline.experiments.crossval.pooling import pool

    def begun() -> tuple[RunDir, RunConfig]:
        args = _parsed(CrossvalArgs, argv, "crossval")
        kind = Crossval(args.folds if _asks(args, argv, "folds") else None)
        return _begun(args, kind, ["crossval", *argv], held)

    folder, config = group.on_main(begun)
    do_stages(folder, config, group.on_main(lambda: stages_left(folder, BEFORE)), group)
    with shown(folder, group) as ui:
        if group.on_main(lambda: "folds" not in folder.record()):
            group.on_main(lambda: make_folds(folder, config, ui))
        do_folds(folder, ui, group)
    if group.is_main:
        results = pool(folder, config)
        ui.crossval(results)
        _tell_written(folder, config)
        ui.next_steps(results.next_steps)
    return ACCEPTED


def final(argv: list[str], group: ProcessGroup, held: ExitStack) -> int:
    """One adapter on all clips of a cross-validation; the exit code says whether it can be used."""
    from moontune.pipeline.experiments.final import (
        FinalArgs,
        FinishedCrossval,
        begin_final,
        do_final,
        open_crossval,
        reasons_against,
        refusal,
    )
    from moontune.pipeline.experiments.final_report import final_results, write_final_report

    def begun() -> tuple[RunDir, FinishedCrossval] | str:
        args = parse(FinalArgs, argv, prog="moontune final")
        crossval = open_crossval(args.crossval)
        if not args.anyway and (reasons := reasons_against(crossval, args.overwrite)):
            return refusal(crossval, reasons)
        command = ["final", *argv]
        run = begin_final(crossval, command, held, _remark, overwrite=args.overwrite)
        return run, crossval

    outcome = group.on_main(begun)
    if isinstance(outcome, str):
        if group.is_main:
            print(printable(outcome))
        return NOT_ACCEPTED
    run, crossval = outcome
    quiet_libraries()
    with shown(run, group) as ui:
        if not group.on_main(lambda: run.record()["complete"]):
            config = do_final(run, crossval, ui, group)
            if group.is_main:
                write_final_report(run, crossval, config)
    if not group.is_main:
        return ACCEPTED
    results = final_results(run.path)
    ui.final(results)
    _tell_written(run, run.config())
    ui.next_steps(results.next_steps)
    return ACCEPTED if results.metrics.usable else NOT_ACCEPTED


def sweep(argv: list[str], group: ProcessGroup, held: ExitStack) -> int:
    """A training for every trial, and the best of them tested."""
    from moontune.pipeline.experiments.sweep import BEFORE, Sweep, do_trials, measure_winner
    from moontune.pipeline.experiments.sweep_report import OWN, write_sweep_report

    if group.size > 1:
        raise UserError("a sweep runs in one process; start it without torchrun")
    args = _parsed(SweepArgs, argv, "sweep")
    trials = args.trials if _asks(args, argv, "trials") else None
    kind = Sweep(trials, _settings_to_try(args, argv))
    folder, config = _begun(args, kind, ["sweep", *argv], held)
    do_stages(folder, config, stages_left(folder, BEFORE))
    with shown(folder) as ui:
        done = do_trials(folder, config, ui)
        measure_winner(folder, done, ui)
    found = write_sweep_report(folder, config, done)
    ui.sweep(found, (OWN, found.name))
    print(f"the best trial is a run of its own: {folder / found.name}")
    _tell_written(folder, config)
    ui.next_steps(found.next_steps)
    return ACCEPTED


def work(argv: list[str]) -> int:
    """Folds or trials of a run that another process began, on this machine or another one."""
    from moontune.pipeline.experiments.help_out import WorkArgs, help_out, run_to_help

    args = parse(WorkArgs, argv, prog="moontune work")
    run = run_to_help(args.run)
    quiet_libraries()
    with shown(run) as ui:
        help_out(run, ui)
    print(f"{run.path}: all its parts are done; the command that began it reports them")
    return ACCEPTED


def _settings_to_try(args: SweepArgs, argv: list[str]) -> tuple[str, ...] | None:
    """Those of --tune; of the usual ones, the ones that no flag gives for all trials. None for a
    sweep that has its own. Raises UserError where none is left."""
    if not _asks(args, argv, "tune"):
        return None
    asked = given(SweepArgs, argv, prog="moontune sweep")
    if "tune" in asked:
        return args.tune
    left = tuple(name for name in args.tune if name not in asked)
    if not left:
        raise UserError(
            f"{', '.join(args.tune)} are given for all trials, so there is nothing to try; leave "
            "one out, or name others with --tune"
        )
    for name in args.tune:
        if name in asked:
            _remark(f"{name} is the same in all trials, as you gave it (--tune {name} tries more)")
    return left


def _asks(args: NewRunArgs, argv: list[str], name: str) -> bool:
    """Whether a setting is asked for, and is not a default that a run gone on with may lack."""
    return not args.resume or name in given(type(args), argv, prog="moontune")


def _say(text: str) -> None:
    print(printable(text))


def _remark(text: str) -> None:
    print(f"remark: {text}")


def _tell_written(run: RunDir, config: RunConfig) -> None:
    from moontune.pipeline.stages.report import written  # loads the pages

    print(written(run, config))


def _parsed(cls: type[Args], argv: list[str], verb: str, saved: RunConfig | None = None) -> Args:
    """`saved` (the dataclasses' defaults), then the preset, then the file, then the flags."""
    prog = f"moontune {verb}"
    _refuse_retired(argv)
    config = saved or RunConfig()
    if not asks_help(argv):
        config = _under_flags(config, given(cls, argv, prog=prog))
    return parse(cls, argv, prog=prog, default=cls(settings=config))


def _refuse_retired(argv: list[str]) -> None:
    flags = {name: f"--{name.replace('_', '-')}" for name in RETIRED}
    values = {name: flag_value(argv, flag) for name, flag in flags.items()}
    for name, sentence in retired({k: v for k, v in values.items() if v is not None}).items():
        raise UserError(f"{flags[name]}: {sentence}")


def _under_flags(config: RunConfig, values: dict[str, Any]) -> RunConfig:
    """The configuration with the preset's and the file's settings, for the flags to change."""
    config = with_file(with_preset(config, values.get("preset")), values.get("config"))
    if values.get("manifest") is not None:  # replaces a source that preset or file named
        config = with_settings(config, {"source": "manifest"}, "--manifest")
    return config


def _begun(
    args: NewRunArgs,
    kind: RunKind,
    command: list[str],
    held: ExitStack,
    *,
    needs_model: bool = True,
) -> tuple[RunDir, RunConfig]:
    """A new run with its utterances sampled, or the one to go on with; and its configuration."""
    if args.resume and args.overwrite:
        raise UserError("--resume and --overwrite exclude each other; give one of them")
    start = Start(
        kind,
        command,
        sample=lambda run, config: do_stages(run, config, ["sample"]),
        remark=_remark,
        held=held,
        needs_model=needs_model,
    )
    if not args.resume:
        new_run_path(args.settings, overwrite=args.overwrite)  # raises before hours are imported
        settings = with_imported(args.settings, _say)
        return begin_run(settings, start, overwrite=args.overwrite)
    name, folder = args.settings.output.run_name, args.settings.output.output_dir
    if name is None:
        raise UserError("--resume needs the run to go on with; add --run-name NAME")
    verb, *argv = command

    def asked(saved: RunConfig) -> RunConfig:
        return with_imported(_parsed(type(args), argv, verb, saved).settings, _say, saved)

    return resume_run(folder / name, asked, start)
