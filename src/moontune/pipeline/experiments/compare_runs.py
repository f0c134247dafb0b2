"""`moontune compare`: the tuned models of two runs on the same test clips. No torch here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from moontune.config.loading import check_values
from moontune.config.schema import OutputConfig, ReportConfig
from moontune.errors import UserError
from moontune.evaluation.comparison import compare, unlike
from moontune.evaluation.predictions import stored_predictions
from moontune.pipeline.run_dir import RunDir, evaluated_run
from moontune.report.markdown import cell
from moontune.report.markdown_tables import changed, drawn, edits, groups, measures
from moontune.system.files import check_output, write_text


@dataclass(frozen=True)
class CompareArgs:
    """The tuned models of two runs on the same test clips, with intervals: a page and Markdown."""

    runs: tyro.conf.Positional[tuple[Path, Path]]
    """Two runs' folders, the one to compare with first."""
    output: Path | None = None
    """The page to write; default: compare-A-B.html where the runs lie."""
    report_clips: int = ReportConfig.report_clips
    """Changed clips to show with their audio."""
    seed: int = OutputConfig.seed
    """Seed of the bootstrap."""


@dataclass(frozen=True)
class SideBySide:
    names: tuple[str, str]
    comparison: dict[str, Any]
    findings: list[str]
    remarks: list[str]
    page: Path


def compare_runs(args: CompareArgs) -> SideBySide:
    """Compare, and write the page and the Markdown beside it. Raises UserError."""
    from moontune.report.html.contents import comparison_page

    check_values(seed=args.seed, report_clips=args.report_clips)
    runs = tuple(evaluated_run(path) for path in args.runs)
    if runs[0].path.resolve() == runs[1].path.resolve():
        raise UserError(f"{args.runs[0]}: is one run; give two")
    names = _names(runs)
    page = args.output or _beside(runs[1]) / f"compare-{names[0]}-{names[1]}.html"
    check_output(page, "--output")
    if page.suffix != ".html":
        raise UserError(f"--output {page}: name a file that ends in .html")
    remarks = _check(runs, names)
    rows = tuple(stored_predictions(run / "predictions_tuned.jsonl") for run in runs)
    try:
        found = compare(rows[0], rows[1], args.seed)
    except UserError as error:
        raise UserError(f"{names[0]} and {names[1]} cannot be compared: {error}") from None
    findings = list(found["sentences"].values())
    if "loss" not in found["measures"]:
        remarks.insert(0, "Their labels differ in style, so losses are not compared.")
    write_text(page, comparison_page(runs, names, found, remarks, args.report_clips))
    write_text(page.with_suffix(".md"), _markdown(names, found, rows, findings + remarks))
    return SideBySide(names, found, findings, remarks, page)


def _beside(run: RunDir) -> Path:
    """The folder a run lies in; of a fold or a trial, the one that the whole of it lies in."""
    folder = run.path.parent
    return folder.parent if (folder / "run.json").is_file() else folder


def _names(runs: tuple[RunDir, ...]) -> tuple[str, str]:
    first, second = (run.path.resolve().name for run in runs)
    return (first, second) if first != second else (f"{first}-A", f"{second}-B")


def _check(runs: tuple[RunDir, ...], names: tuple[str, str]) -> list[str]:
    """What makes figures of two runs say nothing about each other is refused; remarks on the rest.

    Targets may differ, then losses are left out: words are the same whatever their style.
    """
    first, second = (run.read("eval_tuned.json") for run in runs)
    said = {
        "audio": "their test clips are not the same recordings; give runs of one split",
        "normalizer": "their WER is of two normalisers; evaluate both with one version",
        "decoding": "their token caps differ; give runs of one --tokens-per-second, --token-margin",
    }
    for key in unlike(first, second):
        if key in said:
            raise UserError(f"{names[0]} and {names[1]} cannot be compared: {said[key]}")
    bases = [run.stages()["evaluate"]["base"]["sha256"][:12] for run in runs]
    if bases[0] == bases[1]:
        return []
    return [f"They adapt two different bases (weights {bases[0]} and {bases[1]})."]


def _markdown(
    names: tuple[str, str], c: dict[str, Any], rows: tuple[Any, ...], findings: list[str]
) -> str:
    parts = [
        f"# {cell(names[0])} and {cell(names[1])}",
        *map(cell, findings),
        measures(c, names),
        edits(c, names),
        drawn(c),
        groups(c, names),
        changed(rows[0], rows[1], names),
    ]
    return "\n\n".join(parts) + "\n"
