"""A run as Markdown: its section of the collected report."""

from __future__ import annotations

from moontune.evaluation.acceptance import Check
from moontune.report.markdown import cell, code, table
from moontune.report.markdown_tables import changed, forgetting, groups, result, suspicious
from moontune.report.provenance import Section, provenance_of
from moontune.report.results import LossHistory, RunResults


def render(results: RunResults) -> str:
    metrics, verdict = results.metrics, results.metrics.verdict
    parts = [
        f"## {cell(results.name)}",
        f"**{cell(verdict.sentence)}**",
        *([cell(verdict.rule)] if verdict.rule else []),
        *map(cell, verdict.findings),
        *map(cell, verdict.cautions),
        result(metrics),
        _checks(verdict.checks),
        _training(results.losses, metrics.training.figures.best_step),
        groups(metrics.comparison),
        changed(results.before, results.after),
        *suspicious(results.suspects),
        forgetting(metrics),
        *map(section_text, provenance_of(results)),
    ]
    return "\n\n".join(parts) + "\n"


def _checks(checks: list[Check]) -> str:
    rows = [(check.name, "yes" if check.passed else "NO", check.detail) for check in checks]
    return "### Checks\n\n" + table(("check", "", "detail"), rows)


def _training(losses: LossHistory, best_step: float) -> str:
    """Validation losses, each with the training loss since the one before."""
    rows, before = [], 0
    for validation in losses.validations:
        since = [
            (s.loss, s.tokens)
            for s in losses.steps
            if s.loss is not None and before < s.step <= validation.step
        ]
        tokens = sum(n for _, n in since)
        mean = sum(loss * n for loss, n in since) / tokens if tokens else None
        figures = ("-" if v is None else f"{v:.4f}" for v in (mean, validation.loss))
        rows.append((validation.step, *figures, "kept" if validation.step == best_step else ""))
        before = validation.step
    head = ("update", "train loss since the last row", "validation loss", "")
    return "### Training\n\n" + table(head, rows)


def section_text(section: Section) -> str:
    """A section as a table; without a head, as lines of code."""
    text = f"### {cell(section.title)}"
    if section.head:
        text += "\n\n" + table(section.head, section.rows)
    else:
        text += "".join("\n\n" + code(str(row[0])) for row in section.rows)
    return text + (f"\n\n{cell(section.note)}" if section.note else "")
