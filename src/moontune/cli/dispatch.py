"""The command line: the verbs, and where each of them goes."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from contextlib import ExitStack

from moontune.cli.arguments import asks_help, flag_value, parse, user_errors_as_exit_code
from moontune.errors import ACCEPTED, UserError
from moontune.pipeline.stages import STAGES
from moontune.system.distributed import ProcessGroup, init_from_launcher, is_main_process
from moontune.system.formatting import did_you_mean, printable
from moontune.system.progress import PassingLine, starting
from moontune.system.threads.waiting import wait_well

_RUN_VERBS = {
    "run": "all of it, from sampling to the verdict and the report",
    "crossval": "train and test once for every fold of speakers, results pooled",
    "final": "train one adapter on all clips of a cross-validation, to be used",
    "sweep": "train with other settings, test what validated best",
    "work": "help a crossval or a sweep along: one more process, any machine",
}
_DATA_VERBS = {
    "record": "nothing yet: a page to read sentences on, kept as a data set",
    "import": "what you have as a data set: folders, tables, subtitles, ...",
    "review": "a page to go through a data set, the doubtful clips first",
    "terms": "words that you corrected, as a list of key terms to look through",
}
_FIGURE_VERBS = {
    "score": "compute every figure again from predictions or runs, pooled",
    "compare": "two runs on the same test clips, side by side",
}
_USE_VERBS = {
    "export": "the tuned model as plain weights, ONNX and .ort, each measured",
    "transcribe": "recordings to text, SRT or VTT with the base or what was tuned",
    "serve": "a page to speak to both models, and to keep what you correct",
    "push": "adapter, processor and model card to the hub",
    "doctor": "look at this machine and at the versions below moontune",
}
_STAGE_VERBS = {stage.name: stage.summary for stage in STAGES}
_SLOW = (
    *_RUN_VERBS,
    *_STAGE_VERBS,
    "export",
    "push",
    "record",
    "review",
    "serve",
)  # libraries of seconds

_HELP = """usage: moontune VERB ...

Adapt a Moonshine model with LoRA and measure honestly whether it helped.

{run}

stages of a run, each also on its own: moontune sample [flags], then
moontune STAGE outputs/NAME
{stages}

data:
{data}

figures:
{figures}

use:
{use}

moontune VERB --help lists a verb's flags. Start with one of:
  moontune run --preset offline            minutes, no network, no recordings
  moontune run --manifest my.jsonl         your own audio
  moontune record my-voice                 nothing yet but a microphone
  moontune run                             300 clips of LibriSpeech, streamed

exit codes: 0 accepted, 1 not accepted, 2 a mistake in what was given
"""


def main(argv: list[str] | None = None) -> int:
    """Entry of the `moontune` command; returns the exit code."""
    wait_well()
    argv = sys.argv[1:] if argv is None else argv
    verb, words = (argv[0], argv[1:]) if argv else ("--help", [])
    computes = verb in (*_RUN_VERBS, *_STAGE_VERBS) and verb not in ("sample", "work")
    computes &= not asks_help(words)
    with user_errors_as_exit_code() as outcome:
        if computes:
            outcome.group = init_from_launcher()
        elif not is_main_process():  # one process does it for all
            return outcome.code
        if verb in _SLOW and outcome.group.is_main and not asks_help(words):
            starting(sys.stdout)
        outcome.code = _do(verb, words, outcome.group)
    return outcome.group.end(outcome.code)


def _do(verb: str, words: list[str], group: ProcessGroup) -> int:
    if verb in ("-h", "--help", "--help-all", "help"):
        print(_help())
    elif verb in ("-V", "--version", "version"):
        import importlib.metadata

        print(f"moontune {importlib.metadata.version('moontune')}")
    elif verb == "work":
        from moontune.cli.new_run import work

        return work(words)
    elif verb in (*_RUN_VERBS, *_STAGE_VERBS):
        return _run_verb(verb, words, group)
    elif verb in (small := _small_verbs()):
        return small[verb](words) or ACCEPTED
    else:
        known = [*_RUN_VERBS, *_STAGE_VERBS, *_DATA_VERBS, *_FIGURE_VERBS, *_USE_VERBS]
        hint = did_you_mean(verb, known, "see moontune --help")
        raise UserError(f"unknown verb {verb!r}; {hint}")
    return ACCEPTED


def _run_verb(verb: str, words: list[str], group: ProcessGroup) -> int:
    """A verb that works on a run's folder, which is locked until it ends."""
    with ExitStack() as held:
        if verb in _STAGE_VERBS and verb != "sample":
            from moontune.cli.stage_verbs import do_stage

            return do_stage(verb, words, group, held)
        from moontune.cli import new_run

        beginning = {
            "run": new_run.run,
            "sample": new_run.sample,
            "crossval": new_run.crossval,
            "final": new_run.final,
            "sweep": new_run.sweep,
        }
        return beginning[verb](words, group, held)


def _small_verbs() -> dict[str, Callable[[list[str]], int | None]]:
    return {
        "record": _record,
        "import": _import,
        "review": _review,
        "terms": _terms,
        "score": _score,
        "compare": _compare,
        "export": _export,
        "transcribe": _transcribe,
        "serve": _serve,
        "push": _push,
        "doctor": _doctor,
    }


def _help() -> str:
    def listed(verbs: dict[str, str]) -> str:
        return "\n".join(f"  {name:10} {what}" for name, what in verbs.items())

    parts = {
        "run": _RUN_VERBS,
        "stages": _STAGE_VERBS,
        "data": _DATA_VERBS,
        "figures": _FIGURE_VERBS,
        "use": _USE_VERBS,
    }
    return _HELP.format(**{name: listed(verbs) for name, verbs in parts.items()}).rstrip()


def _tell(line: str) -> None:
    print(printable(line), flush=True)


def _record(argv: list[str]) -> None:
    from moontune.record.command import RecordArgs, record

    record(parse(RecordArgs, argv, prog="moontune record"), _tell)


def _import(argv: list[str]) -> None:
    from moontune.cli.console import ConsoleUi
    from moontune.importing.command import ImportArgs, import_sources

    args = parse(ImportArgs, argv, prog="moontune import")
    ui = ConsoleUi()
    try:
        folder, imported = import_sources(args, ui.note, ui.progress)
    finally:
        ui.close()
    for line in imported.lines(folder):
        print(printable(line))


def _review(argv: list[str]) -> None:
    from moontune.review.command import ReviewArgs, review

    review(parse(ReviewArgs, argv, prog="moontune review"), _tell)


def _terms(argv: list[str]) -> None:
    from moontune.pipeline.key_terms.proposing import TermsArgs, propose_terms

    args = parse(TermsArgs, argv, prog="moontune terms")
    found = propose_terms(args)
    print(f"written: {args.output}, {found.says}; take out what is none, then --key-terms it")


def _score(argv: list[str]) -> None:
    from moontune.cli.console import ConsoleUi
    from moontune.pipeline.experiments.score_predictions import ScoreArgs, score
    from moontune.system.files import write_json

    args = parse(ScoreArgs, argv, prog="moontune score")
    card = score(args)
    ConsoleUi().scorecard(card)
    if args.json is not None:
        write_json(args.json, card.to_json())


def _compare(argv: list[str]) -> None:
    from moontune.cli.console import ConsoleUi, text_lines
    from moontune.pipeline.experiments.compare_runs import CompareArgs, compare_runs

    runs, page = compare_runs(parse(CompareArgs, argv, prog="moontune compare"))
    ui = ConsoleUi()
    ui.figures(runs.comparison, runs.names)
    if runs.key_terms is not None:
        ui.key_terms(runs.key_terms, runs.names)
    for line in [runs.plain, *runs.findings, *text_lines(runs.comparison, runs.names)]:
        ui.note(line)
    print(f"written: {page} and {page.with_suffix('.md').name}")
    ui.next_steps(runs.next_steps)


def _export(argv: list[str]) -> None:
    from moontune.cli.console import ConsoleUi
    from moontune.export.command import ExportArgs, export
    from moontune.export.export_card import lines

    args = parse(ExportArgs, argv, prog="moontune export")
    ui = ConsoleUi()
    try:
        exported = export(args, ui)
    finally:
        ui.close()
    if exported.table:
        ui.table(exported.head, lines(exported.table))
    for line in exported.findings:
        ui.note(line)
    print(f"written: {exported.folder}")


def _transcribe(argv: list[str]) -> int:
    out, err = sys.stdout, sys.stderr  # a live bar puts others in their place
    line = PassingLine(err)
    model = flag_value(argv, "--model")
    if not {"-h", "--help"} & {*argv}:
        line.say(printable(f"loading {model or 'the model'} ..."))
    try:
        from moontune.cli.console import ConsoleUi
        from moontune.transcribe.command import TranscribeArgs, review_words, transcribe_files

        args = parse(TranscribeArgs, argv, prog="moontune transcribe")

        def complain(text: str) -> None:
            line.clear()
            print(f"moontune: {text}", file=err, flush=True)

        ui = ConsoleUi(err)
        summary = transcribe_files(args, ui, complain, out, sys.stdin.buffer, line.clear)
    finally:
        line.clear()
    if sentence := summary.sentence():
        ui.note(sentence)
    if summary.drafts:
        print(f"written: {summary.drafts}")
        ui.note(f"correct them: {shlex.join(['moontune', 'review', *review_words(args)])}")
    return summary.code


def _push(argv: list[str]) -> None:
    from moontune.export.push import PushArgs, push

    folder, address = push(parse(PushArgs, argv, prog="moontune push"))
    print(f"written: {folder}")
    print("nothing was uploaded (--dry-run)" if address is None else f"uploaded: {address}")


def _doctor(argv: list[str]) -> int:
    from moontune.doctor.command import DoctorArgs, doctor

    args = parse(DoctorArgs, argv, prog="moontune doctor")
    return doctor(args, lambda line: print(line, flush=True))


def _serve(argv: list[str]) -> None:
    from moontune.serve.command import ServeArgs, serve

    serve(parse(ServeArgs, argv, prog="moontune serve"), _tell)


if __name__ == "__main__":
    sys.exit(main())
