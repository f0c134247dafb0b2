"""`moontune compare`: the tuned models of two runs on the same test clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from moontune.config.flag_marks import Positional
from moontune.config.schema import OutputConfig, ReportConfig, RunConfig
from moontune.config.validation import check_values
from moontune.data.word_lists.key_terms import read_key_terms
from moontune.errors import UserError
from moontune.evaluation.comparison import compare, differing_conditions
from moontune.evaluation.domain_text.results import with_domain_text
from moontune.evaluation.key_terms.figures import TermFigures, term_figures
from moontune.evaluation.measures import TextUse
from moontune.evaluation.predictions import PredictionRow, consensus_row, prediction_row
from moontune.languages.table import speaking
from moontune.pipeline.consensus.figures import TextOfModel, text_of, use_of_both
from moontune.pipeline.experiments.final import doubts_of, open_crossval
from moontune.pipeline.run_folder.commands import final_command
from moontune.pipeline.run_folder.opening import evaluated_run
from moontune.pipeline.run_folder.run_dir import RunDir
from moontune.pipeline.stages.next_steps import use_base, use_it
from moontune.report.domain_text import text_section
from moontune.report.html.contents import comparison_page
from moontune.report.key_terms import compared_terms_section
from moontune.report.markdown import cell
from moontune.report.markdown_tables import bootstrap_note, changed, edits, groups, measures, words
from moontune.report.results.compared import ComparedRun, RunComparison
from moontune.report.results.metrics import NextStep
from moontune.report.run_markdown import next_steps_text
from moontune.system.files import check_output, file_sha256, real_path, write_text
from moontune.system.formatting import counted
from moontune.training.summary import TrainingFigures


@dataclass(frozen=True)
class CompareArgs:
    """The tuned models of two runs on the same test clips, with intervals: a page and Markdown."""

    runs: Positional[tuple[Path, Path]]
    """Two runs' folders, the one to compare with first."""
    output: Path | None = None
    """The page to write; default: compare-A-B.html where the runs lie."""
    report_clips: int = ReportConfig.report_clips
    """Changed clips to show with their audio."""
    key_terms: Path | None = None
    """A list of words and phrases to count in both, one a line: docs/key_terms.md."""
    seed: int = OutputConfig.seed
    """Seed of the bootstrap."""


def compare_runs(args: CompareArgs) -> tuple[RunComparison, Path]:
    """Compare, and write the page and the Markdown beside it; the page's path is returned too.
    Raises UserError."""
    check_values(seed=args.seed, report_clips=args.report_clips)
    runs = tuple(evaluated_run(path) for path in args.runs)
    if real_path(runs[0].path) == real_path(runs[1].path):
        raise UserError(f"{args.runs[0]}: is one run; give two")
    names = _names(runs)
    page = args.output or _beside(runs[1]) / f"compare-{names[0]}-{names[1]}.html"
    check_output(page, "--output")
    if page.suffix != ".html":
        raise UserError(f"--output {page}: name a file that ends in .html")
    with speaking(runs[1].config().language):
        if args.key_terms is not None:
            read_key_terms(args.key_terms)
        bases = _check(runs, names)
        return _compared(args, runs, names, page, bases)


def _compared(
    args: CompareArgs, runs: tuple[RunDir, ...], names: tuple[str, str], page: Path, bases: str
) -> tuple[RunComparison, Path]:
    remarks: list[str] = []
    before, after = (compared_run(run, name) for run, name in zip(runs, names, strict=True))
    rows, mended = newer_references(before.predictions, after.predictions)
    before = replace(before, predictions=rows)
    by = [run.config.eval.decoding for run in (before, after)]
    texts = [text_of(run, "tuned") for run in runs]
    use: TextUse | None = None
    if by[0] == by[1]:
        before, after, use = with_texts((before, after), texts)
    try:
        comparison = compare(before.predictions, after.predictions, args.seed, use)
    except UserError as error:
        raise UserError(f"{names[0]} and {names[1]} cannot be compared: {error}") from None
    if "loss" not in comparison.measures:
        what = "training texts differ" if mended else "labels differ in style"
        remarks.insert(0, f"Their {what}, so losses are not compared.")
    if by[0] != by[1]:
        remarks.append(
            f"{names[0]} was measured with --decoding {by[0]} and {names[1]} with --decoding "
            f"{by[1]}, so their greedy transcripts alone are compared."
        )
    elif any(texts) and use is None:
        name = names[0] if texts[0] else names[1]
        remarks.append(
            f"{name} alone was measured with a text of the domain, so what that changes is not "
            "compared; the run's own report has it."
        )
    if mended:
        remarks.insert(
            0,
            f"{mended} of {counted(len(rows), 'clip')} have references of other words in "
            f"{names[1]}: these count for both, and {names[0]} is scored anew by them.",
        )
    for run, name in zip(runs, names, strict=True):
        for setting, value in run.retired_settings().items():
            remarks.append(f"{name} was made with {setting} = {value}, which is no more.")
    terms = compared_terms(args.key_terms, before, after, args.seed)
    result = RunComparison(before, after, comparison, remarks, bases, key_terms=terms)
    result = replace(result, next_steps=_next_steps(runs, result))
    write_text(page, comparison_page(result, args.report_clips))
    write_text(page.with_suffix(".md"), _markdown(result))
    return result, page


def with_texts(
    sides: tuple[ComparedRun, ComparedRun], texts: Sequence[TextOfModel | None]
) -> tuple[ComparedRun, ComparedRun, TextUse | None]:
    """Both runs with what their own texts make of what they wrote, and how these have a say; as
    they are where one has none."""
    before, after = texts
    if before is None or after is None:
        return *sides, None
    one, other = (
        replace(run, predictions=with_domain_text(run.predictions, text.texts))
        for run, text in zip(sides, (before, after), strict=True)
    )
    return one, other, use_of_both(before, after)


def compared_terms(
    file: Path | None, before: ComparedRun, after: ComparedRun, seed: int
) -> TermFigures | None:
    """Figures of a list in what two runs write; None without one. Raises UserError."""
    if file is None:
        return None
    return term_figures(read_key_terms(file), before.predictions, after.predictions, seed)


def compared_run(run: RunDir, name: str) -> ComparedRun:
    """One side of a comparison, from a folder whose tuned model was measured."""
    return ComparedRun(
        name=name,
        config=_with_words_named(run),
        training=TrainingFigures.from_json(run.read("train.json")),
        commands=run.commands(),
        predictions=run.predictions("tuned"),
        audio=run.test_audio(),
    )


def _with_words_named(run: RunDir) -> RunConfig:
    """The run's configuration, its key terms and its text called by what is in them: every run has
    copies of its own, so that places say nothing."""
    config = run.used_config()
    terms = config.terms
    named = replace(
        terms,
        key_terms=terms.key_terms and Path(f"list {file_sha256(run.words.key_terms)[:12]}"),
        domain_text=terms.domain_text and Path(f"text {file_sha256(run.words.domain_text)[:12]}"),
    )
    return replace(config, terms=named)


def newer_references(
    before: Sequence[PredictionRow], after: Sequence[PredictionRow]
) -> tuple[list[PredictionRow], int]:
    """The first run's rows with the second's references, scored anew by them, and in how many the
    words are others: who mends a transcript between two runs means the newer one.

    A clip that the second has not stays as it is.
    """
    references = {row["id"]: row["reference"] for row in after}
    rows, mended = [], 0
    for row in before:
        reference = references.get(row["id"], row["reference"])
        if reference == row["reference"]:
            rows.append(row)
            continue
        again = prediction_row(dict(row) | {"reference": reference}, row["id"])
        mended += again["normalized_reference"] != row["normalized_reference"]
        scored: PredictionRow = {
            **row,
            "reference": reference,
            "normalized_reference": again["normalized_reference"],
            "edits": again["edits"],
            "characters": again["characters"],
        }
        if "consensus" in row:
            text = row["consensus"]["hypothesis"]
            scored["consensus"] = {**row["consensus"], **consensus_row(reference, text)}
        rows.append(scored)
    return rows, mended


def _beside(run: RunDir) -> Path:
    """The folder a run lies in; of a fold or a trial, the one that the whole of it lies in."""
    folder = run.path.parent
    return folder.parent if (folder / "run.json").is_file() else folder


def _names(runs: tuple[RunDir, ...]) -> tuple[str, str]:
    first, second = (run.path.resolve().name for run in runs)
    return (first, second) if first != second else (f"{first}-A", f"{second}-B")


def _next_steps(runs: Sequence[RunDir], found: RunComparison) -> list[NextStep]:
    """The one that hears better to be used; where that cannot be told, either."""
    steps = [
        _step(run, name)
        for run, name in zip(runs, found.names, strict=True)
        if found.better in (name, None)
    ]
    if len(steps) > 1:
        needed = found.comparison.error_rate.utterances_needed
        tell = f"; about {needed:,} clips would tell" if needed else ""
        says = f"{steps[0].says}; nothing here says which of the two is better{tell}"
        steps[0] = replace(steps[0], says=says)
    return steps


def _step(run: RunDir, name: str) -> NextStep:
    """A run's adapter to be used, or its base where the adapter is no better."""
    if run.kind == "crossval":
        if doubts_of(open_crossval(run.path)):
            return use_base(run.config())
        return NextStep(f"Train {name}'s adapter on all clips, to be used", final_command(run.path))
    if run.metrics().verdict.state in ("worse", "not accepted"):
        return use_base(run.config())
    return use_it(str(run.path), f"Use {name}")


def _check(runs: tuple[RunDir, ...], names: tuple[str, str]) -> str:
    """Which bases two runs adapt, where they are two; raises UserError where the runs' figures
    cannot be compared.

    Targets may differ, then losses are left out: words are the same whatever their style.
    """
    one, other = (run.config().language for run in runs)
    if one != other:
        raise UserError(
            f"{names[0]} and {names[1]} cannot be compared: they are in {one.name} and "
            f"{other.name}, whose errors are counted apart"
        )
    first, second = (run.read("eval_tuned.json") for run in runs)
    said = {
        "audio": "their test clips are not the same recordings; give runs of one split",
        "normalizer": "their figures are of two normalisers; evaluate both with one version",
        "decoding": "their token caps differ; give runs of one --tokens-per-second, --token-margin",
    }
    caps = [{**summary["decoding"], "endless": "", "method": ""} for summary in (first, second)]
    if caps[0] == caps[1]:
        said["decoding"] = (
            "of one the transcripts that came to no end were left as they were, by an older "
            "moontune; measure it again: moontune baseline RUN --overwrite, then moontune run "
            "--resume --run-name NAME"
        )
    for key in differing_conditions(first, second):
        if key in said:
            raise UserError(f"{names[0]} and {names[1]} cannot be compared: {said[key]}")
    bases = [run.stages()["evaluate"]["base"] for run in runs]
    if bases[0]["sha256"] == bases[1]["sha256"]:
        return ""
    called = [Path(base["asked"]).name for base in bases]
    if called[0] == called[1]:
        called = [f"weights {base['sha256'][:12]}" for base in bases]
    return (
        f"They adapt two different bases ({called[0]} and {called[1]}), so the difference is not "
        "the tuning's alone."
    )


def _markdown(runs: RunComparison) -> str:
    names, comparison = runs.names, runs.comparison
    parts = [
        f"# {cell(names[0])} and {cell(names[1])}",
        f"**{cell(runs.plain)}**",
        *map(cell, runs.findings),
        *next_steps_text(runs.next_steps),
        measures(comparison, names),
        edits(comparison, names),
        bootstrap_note(comparison),
        groups(comparison, names),
        words(comparison),
        *text_section(comparison, names),
        *compared_terms_section(runs.key_terms, names),
        changed(runs.before.predictions, runs.after.predictions, names),
    ]
    return "\n\n".join(parts) + "\n"
