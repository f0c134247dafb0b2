"""The command line: verbs, flags, messages, exit codes. Only this module prints and exits."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import shlex
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from moontune.errors import ACCEPTED, NOT_ACCEPTED, USER_MISTAKE, UserError
from moontune.launcher import join, leads
from moontune.parallel import SOLO, Group

T = TypeVar("T")

_OTHER_VERBS = {
    "run": "all of it: sample, split, baseline, train, evaluate, report, verdict",
    "crossval": "train and test once for every fold of speakers, results pooled",
    "sweep": "train with other settings, test what validated best",
}
_FIGURE_VERBS = {
    "score": "compute every figure again from predictions or runs, pooled",
    "compare": "two runs on the same test clips, side by side",
}
_USE_VERBS = {"transcribe": "recordings to text, SRT or VTT with the base or what was tuned"}
_STAGE_VERBS = {  # kept beside pipeline.STAGES by a test; listing them here keeps --help instant
    "sample": "take utterances from the source into a new run",
    "clean": "drop what cannot be used, with reasons",
    "split": "fix train, val and test, no speaker in two",
    "labels": "write training text in the base's style",
    "baseline": "measure the base on the test split",
    "train": "train the adapter, keep the best",
    "evaluate": "measure the tuned model likewise",
    "artifact": "reload it in a fresh process",
    "verdict": "accept or not, with the reasons",
    "report": "write the report",
}

_HELP = """usage: moontune VERB ...

Adapt a Moonshine speech model with LoRA and measure honestly whether it helped.

{run}

stages of a run, each also on its own: moontune sample [--flags], then moontune STAGE outputs/NAME
{stages}

figures:
{figures}

use:
{use}

moontune VERB --help lists a verb's flags. Start with one of:
  moontune run --preset offline            minutes, no network, no recordings
  moontune run --manifest my.jsonl         your own audio
  moontune run                             300 utterances of LibriSpeech, streamed

exit codes: 0 accepted, 1 not accepted, 2 a mistake in what was given
"""


@dataclass
class Outcome:
    code: int = ACCEPTED
    group: Group = SOLO

    def mistake(self, text: str) -> None:
        self.code = USER_MISTAKE
        if self.group.first_to_fail():
            print(f"moontune: {text}", file=sys.stderr)


@contextlib.contextmanager
def reporting_mistakes() -> Iterator[Outcome]:
    """Turn a user's mistake into one line on stderr and exit code 2; Ctrl-C into 130."""
    outcome = Outcome()
    try:
        yield outcome
    except UserError as error:
        outcome.mistake(str(error))
    except BrokenPipeError:  # `moontune run --help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        outcome.code = 141
    except OSError as error:
        if error.filename is None and error.strerror is None:
            raise
        place = f"{error.filename}: " if error.filename else ""
        outcome.mistake(f"{place}{error.strerror}; mend that and try again")
    except KeyboardInterrupt as stop:
        if outcome.group.lead:
            print(f"moontune: interrupted{stop}", file=sys.stderr)
        outcome.code = 130


def parse(cls: type[T], argv: list[str], *, prog: str, default: T | None = None) -> T:
    """Parse flags into a dataclass. Raises UserError with one line for what cannot be parsed."""
    import tyro

    complaint = io.StringIO()
    options: dict[str, Any] = {} if default is None else {"default": default}
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(cls, args=argv, prog=prog, **options)
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise UserError(f"{_one_line(complaint.getvalue())} (flags: {prog} --help)") from None


def _one_line(box: str) -> str:
    """The message in tyro's box, and the flags it suggests, as one line."""
    lines = [line.strip("│╭╮╰╯─ \t") for line in box.splitlines()]
    body = [line for line in lines[1:] if line and "helptext" not in line]
    text = " ".join(body) or " ".join(filter(None, lines)) or "the flags cannot be parsed"
    return text.removeprefix("Error parsing ").strip()


def main(argv: list[str] | None = None) -> int:
    """Entry of the `moontune` command; returns the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    verb = argv[0] if argv else "--help"
    computes = (
        verb in (*_OTHER_VERBS, *_STAGE_VERBS)
        and verb != "sample"
        and not {"-h", "--help"} & {*argv}
    )
    with reporting_mistakes() as outcome:
        if computes:
            outcome.group = join()
        elif not leads():  # one process does it for all
            return outcome.code
        if verb in ("-h", "--help", "help"):
            print(_help())
        elif verb in ("-V", "--version", "version"):
            import importlib.metadata

            print(f"moontune {importlib.metadata.version('moontune')}")
        elif verb == "run":
            outcome.code = _run(argv[1:], outcome.group)
        elif verb == "crossval":
            _crossval(argv[1:], outcome.group)
        elif verb == "sweep":
            _sweep(argv[1:], outcome.group)
        elif verb == "sample":
            outcome.code = _sample(argv[1:])
        elif verb in _STAGE_VERBS:
            outcome.code = _stage(verb, argv[1:], outcome.group)
        elif verb == "score":
            _score(argv[1:])
        elif verb == "compare":
            _compare(argv[1:])
        elif verb == "transcribe":
            outcome.code = _transcribe(argv[1:])
        else:
            import difflib

            known = [*_OTHER_VERBS, *_STAGE_VERBS, *_FIGURE_VERBS, *_USE_VERBS]
            close = difflib.get_close_matches(verb, known, n=1)
            hint = f"did you mean {close[0]}?" if close else "see moontune --help"
            raise UserError(f"unknown verb {verb!r}; {hint}")
    return outcome.code


def _help() -> str:
    def listed(verbs: dict[str, str]) -> str:
        return "\n".join(f"  {name:10} {what}" for name, what in verbs.items())

    parts = {"run": _OTHER_VERBS, "stages": _STAGE_VERBS, "figures": _FIGURE_VERBS}
    parts["use"] = _USE_VERBS
    return _HELP.format(**{name: listed(verbs) for name, verbs in parts.items()}).rstrip()


def _parse_new_run(argv: list[str], verb: str, start: Any = None) -> Any:
    """`start` (the dataclasses' defaults), then the preset, then the file, then the flags."""
    from moontune.config import PRESETS, CrossvalArgs, NewRunArgs, RunConfig, SweepArgs
    from moontune.settings import read_settings, with_settings

    config = start or RunConfig()
    preset = _peek(argv, "--preset")
    if preset is not None:
        if preset not in PRESETS:
            raise UserError(f"--preset {preset}: unknown; known are {', '.join(PRESETS)}")
        config = with_settings(config, PRESETS[preset], f"preset {preset}")
    file = _peek(argv, "--config")
    if file is not None:
        config = with_settings(config, read_settings(Path(file)), file)
    if _peek(argv, "--manifest") is not None:  # replaces a source that preset or file named
        config = with_settings(config, {"source": "manifest"}, "--manifest")
    cls = {"crossval": CrossvalArgs, "sweep": SweepArgs}.get(verb, NewRunArgs)
    return parse(cls, argv, prog=f"moontune {verb}", default=cls(settings=config))


def _peek(argv: list[str], flag: str) -> str | None:
    """The value of a flag before the whole line is parsed."""
    for index, word in enumerate(argv):
        if word.startswith(flag + "="):
            return word.partition("=")[2]
        if word == flag and index + 1 < len(argv):
            return argv[index + 1]
    return None


def _run(argv: list[str], group: Group) -> int:
    from moontune.pipeline import NAMES, stage_named

    run, config = group.of_lead(lambda: _new_run(argv, "run"))
    done = group.of_lead(run.stages)
    return _do(run, config, [stage_named(n) for n in NAMES if n not in done], group)


def _crossval(argv: list[str], group: Group) -> None:
    from moontune.crossval import BEFORE, do_folds, make_folds
    from moontune.pipeline import stage_named
    from moontune.pooled import pool

    run, config = group.of_lead(lambda: _new_run(argv, "crossval"))
    done = group.of_lead(run.stages)
    _do(run, config, [stage_named(n) for n in BEFORE if n not in done], group)
    ui = _ui(group)
    try:
        if group.of_lead(lambda: "folds" not in run.record()):
            group.of_lead(lambda: make_folds(run, config, ui))
        do_folds(run, ui, group)
    except KeyboardInterrupt:
        raise _interrupted(run) from None
    finally:
        ui.close()
    if not group.lead:
        return
    found = pool(run, config)
    ui.crossval(found)
    print(f"written: {run / 'report.html'}, report.md and {config.report.report_file}")


def _sweep(argv: list[str], group: Group) -> None:
    from moontune.pipeline import stage_named
    from moontune.sweep import BEFORE, do_trials, measure_winner
    from moontune.swept import OWN, conclude

    if group.size > 1:
        raise UserError("a sweep runs in one process; start it without torchrun")
    run, config = _new_run(argv, "sweep")
    done = run.stages()
    _do(run, config, [stage_named(n) for n in BEFORE if n not in done])
    ui = _ui(group)
    try:
        trials = do_trials(run, config, ui)
        measure_winner(run, trials, ui)
    except KeyboardInterrupt:
        raise _interrupted(run) from None
    finally:
        ui.close()
    found = conclude(run, config, trials)
    ui.sweep(found, (OWN, f"trial-{found['winner']}"))
    print(f"the best trial is a run of its own: {run / 'trial-'}{found['winner']}")
    print(f"written: {run / 'report.html'}, report.md and {config.report.report_file}")


def _ui(group: Group) -> Any:
    """What prints; all but the lead of several processes keep silent."""
    from moontune.ui import ConsoleUi

    return ConsoleUi(None if group.lead else open(os.devnull, "w"))


def _interrupted(run: Any) -> KeyboardInterrupt:
    """Tells how to go on."""
    folder = run.path.resolve()
    verb = _verb_of(run)
    words = [verb, "--resume", "--run-name", folder.name, "--output-dir", str(folder.parent)]
    return KeyboardInterrupt(f"; go on with: moontune {shlex.join(words)}")


def _verb_of(run: Any) -> str:
    """What made a run's folder."""
    record = run.record()
    return "crossval" if "asked_folds" in record else "sweep" if "sweep" in record else "run"


_KINDS = {"run": "a single run", "crossval": "a cross-validation", "sweep": "a sweep"}


def _sample(argv: list[str]) -> int:
    run, _ = _new_run(argv, "sample")
    print(f"next: moontune clean {run.path}")
    return ACCEPTED


def _new_run(argv: list[str], verb: str) -> tuple[Any, Any]:
    """A new run with its utterances sampled, or the one to go on with; and its configuration.

    A folder of that name, or an older run in it, is touched only once sampling has succeeded.
    """
    from moontune.files import new_folder
    from moontune.pipeline import check_data, check_model, stage_named
    from moontune.rundir import create_run, new_run_path, open_run
    from moontune.settings import remarks, resolve

    args = _parse_new_run(argv, verb)
    if args.resume and args.overwrite:
        raise UserError("--resume and --overwrite exclude each other; give one of them")
    if args.resume:
        return _resumed(args, [verb, *argv])
    config = resolve(args.settings)
    path = new_run_path(config, overwrite=args.overwrite)
    for remark in remarks(config):
        print(f"remark: {remark}")
    check_data(config)
    if verb == "crossval":
        from moontune.crossval import check_folds

        check_folds(config, args.folds)
    if verb == "sweep":
        from moontune.sweep import check_sweep

        check_sweep(config, args.trials, args.tune)
    if verb != "sample":
        check_model(config)
    with new_folder(path) as temporary:
        run = create_run(config, temporary, path.name, [verb, *argv])
        if verb == "crossval":
            run.note(asked_folds=args.folds)
        if verb == "sweep":
            run.note(sweep={"trials": args.trials, "tune": list(args.tune)})
        _do(run, config, [stage_named("sample")])
    return open_run(path), config


def _resumed(args: Any, command: list[str]) -> tuple[Any, Any]:
    """The run to go on with; only what its report is and where may differ from its settings."""
    from moontune.rundir import open_run
    from moontune.settings import resolve, to_dict

    name, folder = args.settings.output.run_name, args.settings.output.output_dir
    if name is None:
        raise UserError("--resume needs the run to go on with; add --run-name NAME")
    run = open_run(folder / name)
    made = _verb_of(run)
    if made != command[0]:
        remedy = "give another --run-name" if made == "run" else f"use: moontune {made} --resume"
        raise UserError(f"{run.path}: is {_KINDS[made]}; {remedy}")
    if made == "crossval" and _peek(command, "--folds") is not None:
        from moontune.crossval import refuse_other_folds

        refuse_other_folds(run, args.folds)
    if made == "sweep":
        from moontune.sweep import change_trials

        given = {f: getattr(args, f) for f in ("trials", "tune") if _peek(command, f"--{f}")}
        change_trials(run, **given)
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
                raise UserError(
                    f"{key} = {new} differs from the run's {old}; a resumed run keeps its "
                    "settings: leave it out, or start another run"
                )
    run.add_command(command)
    run.save_config(config)
    return run, config


def _stage(verb: str, argv: list[str], group: Group) -> int:
    """One stage on an existing run; flags change the settings that this stage obeys."""
    from moontune.pipeline import NAMES, stage_named

    run, config = group.of_lead(lambda: _old_run(verb, argv))
    code = _do(run, config, [stage_named(verb)], group)
    following = NAMES[NAMES.index(verb) + 1 :]
    if following and group.lead:
        print(f"next: moontune {following[0]} {run.path}")
    return code


def _old_run(verb: str, argv: list[str]) -> tuple[Any, Any]:
    """The run that a stage is to be done on, and its configuration with this line's flags."""
    from moontune.config import FLAT, RunConfig
    from moontune.pipeline import check_model, stage_named, stale_after
    from moontune.rundir import open_run
    from moontune.settings import resolve

    stage = stage_named(verb)
    wants_help = "-h" in argv or "--help" in argv
    if not wants_help and (not argv or argv[0].startswith("-")):
        raise UserError(f"give the run first: moontune {verb} outputs/NAME")
    saved = RunConfig() if wants_help else open_run(Path(argv[0])).config()
    fields: list[Any] = [
        (s, Annotated[type(getattr(saved, s)), FLAT], getattr(saved, s)) for s in stage.sections
    ]
    fields.insert(0, ("overwrite", bool, False))
    cls = dataclasses.make_dataclass("Args", fields, frozen=True)
    cls.__doc__ = f"Usage: moontune {verb} outputs/NAME. {stage.summary.capitalize()}."
    given = ["--help"] if wants_help else argv[1:]
    args: Any = parse(cls, given, prog=f"moontune {verb} RUN")
    run = open_run(Path(argv[0]))
    made = _verb_of(run)
    if made != "run":
        one = run / {"crossval": "fold-1", "sweep": "trial-0"}[made]
        raise UserError(f"{run.path}: is {_KINDS[made]}; name one of its runs, such as {one}")
    config = resolve(dataclasses.replace(saved, **{s: getattr(args, s) for s in stage.sections}))
    if verb in run.stages() and verb not in ("report", "verdict") and not args.overwrite:
        later = [n for n in stale_after(stage) if n in run.stages()]
        stale = f" (then also stale: {', '.join(later)})" if later else ""
        raise UserError(f"{run.path}: stage {verb} is done; add --overwrite to redo it{stale}")
    if stage.computes:
        check_model(config)
    run.add_command([verb, *argv])
    return run, config


def _score(argv: list[str]) -> None:
    from moontune.files import write_json
    from moontune.scorecard import ScoreArgs, score
    from moontune.ui import ConsoleUi

    args = parse(ScoreArgs, argv, prog="moontune score")
    card = score(args)
    ConsoleUi().scorecard(card)
    if args.json is not None:
        write_json(args.json, card.comparison)


def _compare(argv: list[str]) -> None:
    from moontune.side_by_side import CompareArgs, compare_runs
    from moontune.ui import ConsoleUi

    found = compare_runs(parse(CompareArgs, argv, prog="moontune compare"))
    ui = ConsoleUi()
    ui.figures(found.comparison, found.names)
    for line in found.findings + found.remarks:
        ui.note(line)
    print(f"written: {found.page} and {found.page.with_suffix('.md').name}")


def _transcribe(argv: list[str]) -> int:
    from moontune.transcribe_files import TranscribeArgs, transcribe_files
    from moontune.ui import ConsoleUi

    args = parse(TranscribeArgs, argv, prog="moontune transcribe")
    out, err = sys.stdout, sys.stderr  # a live bar puts others in their place

    def complain(text: str) -> None:
        print(f"moontune: {text}", file=err, flush=True)

    ui = ConsoleUi(err)
    tally = transcribe_files(args, ui, complain, out, sys.stdin.buffer)
    ui.note(tally.sentence())
    return tally.code


def _do(run: Any, config: Any, stages: list[Any], group: Group = SOLO) -> int:
    """Run stages with progress; the exit code says whether a finished run is accepted."""
    from moontune.pipeline import NAMES, run_stage

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Libraries announcing their own future changes are no news to the user.
    warnings.filterwarnings("ignore", category=FutureWarning)
    ui = _ui(group)
    try:
        for stage in stages:
            ui.stage(stage.name, stage.summary, NAMES.index(stage.name) + 1, len(NAMES))
            run_stage(run, config, stage, ui, group)
    except KeyboardInterrupt:
        if not run.stages():  # nothing to go on with
            raise
        raise _interrupted(run) from None
    finally:
        ui.close()
    if not group.lead:
        return ACCEPTED  # the verdict is the lead's to tell
    done = run.stages()
    if stages and stages[-1].name not in ("verdict", "report"):
        return ACCEPTED
    if "verdict" not in done:
        return ACCEPTED
    metrics = run.read("metrics.json")
    ui.verdict(metrics)
    print(f"run: {run.path}")
    return ACCEPTED if metrics["accepted"] else NOT_ACCEPTED


if __name__ == "__main__":
    sys.exit(main())
