"""The contents of pages: of a run, of two runs compared, of a cross-validation and its adapter."""

from __future__ import annotations

from collections.abc import Sequence

from moontune.config.loading import setting_text, to_dict
from moontune.config.schema import RunConfig
from moontune.config.validation import in_effect
from moontune.evaluation.acceptance import Verdict
from moontune.report.final_adapter import sections_of
from moontune.report.html.page import Heading, Page, render_final_page, render_page
from moontune.report.provenance import Section, command_facts, provenance_of
from moontune.report.results import CrossvalResults, FinalResults, RunComparison, RunResults


def run_page(
    results: RunResults,
    clips: int,
    *,
    heading: Heading | None = None,
    facts: Sequence[Section] = (),
    remarks: Sequence[str] = (),
) -> str:
    """The page of a run, with more `facts` and `remarks` before its own; `clips` at most."""
    metrics, verdict = results.metrics, results.metrics.verdict
    page = Page(
        heading=heading or Heading("run report", results.name),
        sentence=metrics.comparison.sentences["wer"],
        comparison=metrics.comparison,
        predictions=(results.before, results.after),
        audio=results.audio,
        accepted=metrics.accepted,
        sure=verdict.sure,
        cautions=[*remarks, *_reasons(verdict), *verdict.cautions],
        general=metrics.general,
        checks=verdict.checks,
        losses=results.losses,
        best_step=metrics.training.figures.best_step,
        facts=[*facts, *provenance_of(results)],
        suspects=results.suspects,
    )
    return render_page(page, clips)


def _reasons(verdict: Verdict) -> list[str]:
    """Reasons the chip alone does not tell: a smoke run's leniency, or the checks that failed."""
    if verdict.accepted:
        return ["Accepted as a smoke run, on its artifacts alone."] if verdict.smoke else []
    failed = [check for check in verdict.checks if not check.passed]
    return [f"Not accepted: {check.name}: {check.detail}." for check in failed]


def comparison_page(
    runs: RunComparison,
    clips: int,
    *,
    heading: Heading | None = None,
    facts: Sequence[Section] = (),
) -> str:
    """The page of two runs' tuned models side by side, with more `facts` before theirs."""
    names = runs.names
    commands = dict.fromkeys(
        tuple(words) for run in (runs.before, runs.after) for words in run.commands
    )
    page = Page(
        heading=heading or Heading("comparison of two runs", f"{names[0]} and {names[1]}"),
        sentence=runs.comparison.sentences["wer"],
        comparison=runs.comparison,
        predictions=(runs.before.predictions, runs.after.predictions),
        audio=runs.before.audio,
        cautions=runs.remarks,
        names=names,
        facts=[
            *facts,
            _differing_settings(runs),
            _trainings(runs),
            command_facts([list(words) for words in commands]),
        ],
    )
    return render_page(page, clips)


def _differing_settings(runs: RunComparison) -> Section:
    before, after = (_settings(run.config) for run in (runs.before, runs.after))
    names = [name for name in before | after if before.get(name) != after.get(name)]
    rows = [[n, *(setting_text(s.get(n, "not set")) for s in (before, after))] for n in names]
    return Section("Settings that differ", ["setting", *runs.names], rows)


def _settings(config: RunConfig) -> dict[str, object]:
    """Settings in effect by name."""
    sections = to_dict(in_effect(config)).values()
    return {name: value for section in sections for name, value in section.items()}


def _trainings(runs: RunComparison) -> Section:
    before, after = runs.before.training, runs.after.training
    pairs = {
        "updates": (before.steps, after.steps),
        "kept update": (before.best_step, after.best_step),
        "validation loss": (before.best_val_loss, after.best_val_loss),
        "seconds of training": (before.seconds, after.seconds),
    }
    rows = [[label, *(round(figure or 0.0, 4) for figure in pair)] for label, pair in pairs.items()]
    return Section("Training", ["", *runs.names], rows)


def crossval_page(results: CrossvalResults, facts: list[Section], clips: int) -> str:
    page = Page(
        heading=Heading(f"cross-validation, {len(results.folds)} folds", results.name),
        sentence=results.comparison.sentences["wer"],
        comparison=results.comparison,
        predictions=(results.before, results.after),
        audio=results.audio,
        cautions=results.cautions,
        facts=facts,
        suspects=results.suspects,
    )
    return render_page(page, clips)


def final_page(results: FinalResults) -> str:
    """The page of an adapter trained on all clips: what to expect, and what was checked."""
    return render_final_page(results, sections_of(results))
