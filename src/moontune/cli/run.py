"""The verbs that make runs and go on with them: what they parse, in what order they do it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shlex
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Any

from moontune.cli.arguments import flag_value, parse
from moontune.errors import ACCEPTED, NOT_ACCEPTED, UserError
from moontune.pipeline.run_log import RunLog
from moontune.system.distributed import SINGLE, ProcessGroup


def do(verb: str, argv: list[str], group: ProcessGroup) -> int:
    """Do what the verb and its flags ask for; returns the exit code."""
    with contextlib.ExitStack() as held:  # the lock on the run's folder
        if verb == "run":
            return _run(argv, group, held)
        if verb == "crossval":
            _crossval(argv, group, held)
        elif verb == "sweep":
            _sweep(argv, group, held)
        elif verb == "sample":
            run, _ = _new_run(argv, "sample", held)
            print(f"next: moontune clean {run.path}")
        else:
            return _stage(verb, argv, group, held)
    return ACCEPTED


def _parse_new_run(argv: list[str], verb: str, start: Any = None) -> Any:
    """`start` (the dataclasses' defaults), then the preset, then the file, then the flags."""
    from moontune.cli.run_args import CrossvalArgs, NewRunArgs, SweepArgs
    from moontune.config.loading import read_settings, with_settings
    from moontune.config.presets import PRESETS
    from moontune.config.schema import RunConfig

    config = start or RunConfig()
    preset = flag_value(argv, "--preset")
    if preset is not None:
        if preset not in PRESETS:
            raise UserError(f"--preset {preset}: unknown; known are {', '.join(PRESETS)}")
        config = with_settings(config, PRESETS[preset], f"preset {preset}")
    file = flag_value(argv, "--config")
    if file is not None:
        config = with_settings(config, read_settings(Path(file)), file)
    if flag_value(argv, "--manifest") is not None:  # replaces a source that preset or file named
        config = with_settings(config, {"source": "manifest"}, "--manifest")
    cls = {"crossval": CrossvalArgs, "sweep": SweepArgs}.get(verb, NewRunArgs)
    return parse(cls, argv, prog=f"moontune {verb}", default=cls(settings=config))


def _run(argv: list[str], group: ProcessGroup, held: contextlib.ExitStack) -> int:
    from moontune.pipeline.runner import NAMES, stage_named

    run, config = group.on_main(lambda: _new_run(argv, "run", held))
    done = group.on_main(run.stages)
    return _do_stages(run, config, [stage_named(n) for n in NAMES if n not in done], group)


def _crossval(argv: list[str], group: ProcessGroup, held: contextlib.ExitStack) -> None:
    from moontune.pipeline.experiments.crossval import BEFORE, do_folds, make_folds
    from moontune.pipeline.experiments.crossval_report import pool
    from moontune.pipeline.runner import stage_named

    run, config = group.on_main(lambda: _new_run(argv, "crossval", held))
    done = group.on_main(run.stages)
    _do_stages(run, config, [stage_named(n) for n in BEFORE if n not in done], group)
    log = RunLog(run.path)
    ui = _ui(group, log)
    try:
        with _logged(log, group), _telling_how_to_go_on(run):
            if group.on_main(lambda: "folds" not in run.record()):
                group.on_main(lambda: make_folds(run, config, ui))
            do_folds(run, ui, group)
    finally:
        ui.close()
    if not group.is_main:
        return
    ui.crossval(pool(run, config))
    print(f"written: {run / 'report.html'}, report.md and {config.report.report_file}")


def _sweep(argv: list[str], group: ProcessGroup, held: contextlib.ExitStack) -> None:
    from moontune.pipeline.experiments.sweep import BEFORE, do_trials, measure_winner
    from moontune.pipeline.experiments.sweep_report import OWN, write_sweep_report
    from moontune.pipeline.runner import stage_named

    if group.size > 1:
        raise UserError("a sweep runs in one process; start it without torchrun")
    run, config = _new_run(argv, "sweep", held)
    done = run.stages()
    _do_stages(run, config, [stage_named(n) for n in BEFORE if n not in done])
    log = RunLog(run.path)
    ui = _ui(group, log)
    try:
        with _logged(log, group), _telling_how_to_go_on(run):
            trials = do_trials(run, config, ui)
            measure_winner(run, trials, ui)
    finally:
        ui.close()
    found = write_sweep_report(run, config, trials)
    best = f"trial-{found['winner']}"
    ui.sweep(found, (OWN, best))
    print(f"the best trial is a run of its own: {run / best}")
    print(f"written: {run / 'report.html'}, report.md and {config.report.report_file}")


def _ui(group: ProcessGroup, log: RunLog) -> Any:
    """The console of the main process; the others keep silent."""
    from moontune.cli.console import ConsoleUi

    return ConsoleUi(None, log) if group.is_main else ConsoleUi(open(os.devnull, "w"))


@contextlib.contextmanager
def _telling_how_to_go_on(run: Any) -> Iterator[None]:
    """Ctrl-C, and a disk that is full or gone, say within the block how to go on later."""
    try:
        yield
    except KeyboardInterrupt:
        if not run.stages():  # nothing to go on with
            raise
        raise KeyboardInterrupt(f"; go on with: {_resume(run)}") from None
    except OSError as error:
        if error.strerror is None or not run.stages():
            raise
        place = f"{error.filename}: " if error.filename else ""
        raise UserError(
            f"{place}{error.strerror}; mend that, then go on with: {_resume(run)}"
        ) from error


def _logged(log: RunLog, group: ProcessGroup) -> AbstractContextManager[None]:
    return log.failures() if group.is_main else contextlib.nullcontext()


def _resume(run: Any) -> str:
    folder = run.path.resolve()
    place = ["--run-name", folder.name, "--output-dir", str(folder.parent)]
    return f"moontune {shlex.join([run.verb, '--resume', *place])}"


def _new_run(argv: list[str], verb: str, held: contextlib.ExitStack) -> tuple[Any, Any]:
    """A new run with its utterances sampled, or the one to go on with; and its configuration.

    A folder of that name, or an older run in it, is touched only once sampling has succeeded.
    """
    from moontune.config.loading import remarks, resolve
    from moontune.pipeline.preflight import check_room
    from moontune.pipeline.run_dir import create_run, new_run_path, open_run
    from moontune.pipeline.run_lock import exclusive_run
    from moontune.pipeline.runner import check_data, check_model, stage_named
    from moontune.system.files import new_folder

    args = _parse_new_run(argv, verb)
    if args.resume and args.overwrite:
        raise UserError("--resume and --overwrite exclude each other; give one of them")
    if args.resume:
        return _resumed(args, [verb, *argv], held)
    config = resolve(args.settings)
    path = new_run_path(config, overwrite=args.overwrite)
    for remark in remarks(config) + check_room(config):
        print(f"remark: {remark}")
    check_data(config)
    if verb == "crossval":
        from moontune.pipeline.experiments.crossval import check_folds

        check_folds(config, args.folds)
    if verb == "sweep":
        from moontune.pipeline.experiments.sweep import check_sweep

        check_sweep(config, args.trials, args.tune)
    if verb != "sample":
        check_model(config)
    held.enter_context(exclusive_run(path))
    named = dataclasses.replace(config.output, run_name=path.name)
    # It may have come to be just now.
    new_run_path(dataclasses.replace(config, output=named), overwrite=args.overwrite)
    with new_folder(path) as temporary:
        run = create_run(config, temporary, path.name, [verb, *argv])
        if verb == "crossval":
            run.note(asked_folds=args.folds)
        if verb == "sweep":
            run.note(sweep={"trials": args.trials, "tune": list(args.tune)})
        _do_stages(run, config, [stage_named("sample")])
    return open_run(path), config


def _resumed(args: Any, command: list[str], held: contextlib.ExitStack) -> tuple[Any, Any]:
    """The run to go on with; only what its report is and where may differ from its settings."""
    from moontune.config.loading import resolve, to_dict
    from moontune.pipeline.preflight import check_room
    from moontune.pipeline.run_dir import KINDS, open_run
    from moontune.pipeline.run_lock import exclusive_run

    name, folder = args.settings.output.run_name, args.settings.output.output_dir
    if name is None:
        raise UserError("--resume needs the run to go on with; add --run-name NAME")
    run = open_run(folder / name)
    held.enter_context(exclusive_run(run.path))
    made = run.verb
    if made != command[0]:
        another = made == "run" and command[0] != "sample"
        remedy = "give another --run-name" if another else f"use: moontune {made} --resume"
        raise UserError(f"{run.path}: is {KINDS[made]}; {remedy}")
    saved = run.config()
    wanted = _parse_new_run(command[1:], command[0], saved).settings
    config = resolve(dataclasses.replace(saved, report=wanted.report))
    same_place = dataclasses.replace(
        wanted.output, run_name=saved.output.run_name, output_dir=saved.output.output_dir
    )
    asked = to_dict(resolve(dataclasses.replace(wanted, output=same_place)))
    for section, values in to_dict(config).items():
        for key in asked[section].keys() | values.keys():
            new, old = asked[section].get(key), values.get(key)
            if new != old:
                theirs = ", which left it open" if old is None else f" {old}"
                raise UserError(
                    f"{key} = {new} differs from the run's{theirs}; a resumed run keeps its "
                    "settings: leave it out, or start another run"
                )
    if made == "crossval" and flag_value(command, "--folds") is not None:
        from moontune.pipeline.experiments.crossval import refuse_other_folds

        refuse_other_folds(run, args.folds)
    if made == "sweep":
        from moontune.pipeline.experiments.sweep import change_trials

        given = {f: getattr(args, f) for f in ("trials", "tune") if flag_value(command, f"--{f}")}
        change_trials(run, **given)
    for remark in check_room(config, begun=True):
        print(f"remark: {remark}")
    if made == "run" and config.report != saved.report:
        run.forget_stages(["verdict", "report"])
    run.add_command(command)
    run.save_config(config)
    return run, config


def _stage(verb: str, argv: list[str], group: ProcessGroup, held: contextlib.ExitStack) -> int:
    """One stage on an existing run; flags change the settings that this stage obeys."""
    from moontune.pipeline.runner import NAMES, stage_named

    run, config = group.on_main(lambda: _old_run(verb, argv, held))
    code = _do_stages(run, config, [stage_named(verb)], group)
    following = NAMES[NAMES.index(verb) + 1 :]
    if following and group.is_main:
        print(f"next: moontune {following[0]} {run.path}")
    return code


def _old_run(verb: str, argv: list[str], held: contextlib.ExitStack) -> tuple[Any, Any]:
    """The run that a stage is to be done on, and its configuration with this line's flags."""
    from moontune.config.loading import resolve
    from moontune.config.schema import FLAT, RunConfig
    from moontune.pipeline.run_dir import single_run
    from moontune.pipeline.run_lock import exclusive_run
    from moontune.pipeline.runner import check_model, stage_named, stale_after

    stage = stage_named(verb)
    wants_help = "-h" in argv or "--help" in argv
    if not wants_help and (not argv or argv[0].startswith("-")):
        raise UserError(f"give the run first: moontune {verb} outputs/NAME")
    saved, run = RunConfig(), None
    if not wants_help:
        run = single_run(Path(argv[0]))
        held.enter_context(exclusive_run(run.path))
        saved = run.config()
    fields: list[Any] = [
        (s, Annotated[type(getattr(saved, s)), FLAT], getattr(saved, s)) for s in stage.sections
    ]
    fields.insert(0, ("overwrite", bool, False))
    cls = dataclasses.make_dataclass("Args", fields, frozen=True)
    cls.__doc__ = f"Usage: moontune {verb} outputs/NAME. {stage.summary.capitalize()}."
    given = ["--help"] if wants_help else argv[1:]
    args: Any = parse(cls, given, prog=f"moontune {verb} RUN")
    assert run is not None  # --help has ended by now
    config = resolve(dataclasses.replace(saved, **{s: getattr(args, s) for s in stage.sections}))
    if verb in run.stages() and verb not in ("report", "verdict") and not args.overwrite:
        later = [n for n in stale_after(stage) if n in run.stages()]
        stale = f" (then also stale: {', '.join(later)})" if later else ""
        raise UserError(f"{run.path}: stage {verb} is done; add --overwrite to redo it{stale}")
    if stage.computes:
        check_model(config)
    if args.overwrite and "train" in (verb, *stale_after(stage)):
        run.checkpoint.unlink(missing_ok=True)
    run.add_command([verb, *argv])
    run.save_config(config)  # what is interrupted is gone on with as it was
    return run, config


def _do_stages(run: Any, config: Any, stages: list[Any], group: ProcessGroup = SINGLE) -> int:
    """Run stages with progress; the exit code says whether a finished run is accepted."""
    from moontune.pipeline.runner import NAMES, run_stage

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Libraries announcing their own future changes are no news to the user.
    warnings.filterwarnings("ignore", category=FutureWarning)
    log = RunLog(run.path)
    ui = _ui(group, log)
    try:
        with _logged(log, group), _telling_how_to_go_on(run):
            for stage in stages:
                ui.stage(stage.name, stage.summary, NAMES.index(stage.name) + 1, len(NAMES))
                run_stage(run, config, stage, ui, group)
    finally:
        ui.close()
    if not group.is_main:
        return ACCEPTED  # the main process tells the verdict
    done = run.stages()
    if stages and stages[-1].name not in ("verdict", "report"):
        return ACCEPTED
    if "verdict" not in done:
        return ACCEPTED
    metrics = run.metrics()
    ui.verdict(metrics.verdict, metrics.comparison)
    print(f"run: {run.path}")
    return ACCEPTED if metrics.accepted else NOT_ACCEPTED
