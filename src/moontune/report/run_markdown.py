"""A run as Markdown: its own report, and its section of the collected one."""

from __future__ import annotations

from collections.abc import Sequence

from moontune.evaluation.acceptance import Check, shown
from moontune.report.confidence import confidence_section
from moontune.report.domain_text import text_section
from moontune.report.key_terms import key_terms_section, rare_words_section, terms_in_clips
from moontune.report.markdown import cell, code, table
from moontune.report.markdown_tables import (
    changed,
    clip_counts,
    forgetting,
    groups,
    result,
    suspect_counts,
    suspicious,
    words,
)
from moontune.report.new_clips import new_clips_section
from moontune.report.provenance import (
    Section,
    artifact_counts,
    data_facts,
    machine_facts,
    provenance_of,
)
from moontune.report.public import Place, public_commands, public_metrics, public_settings
from moontune.report.results.metrics import NextStep, RunMetrics
from moontune.report.results.run import LossHistory, RunResults


def render(results: RunResults) -> str:
    """The run's own report, with what was said and written."""
    metrics = results.metrics
    parts = [
        *_figures(metrics, results.losses),
        *new_clips_section(metrics.new_clips),
        words(metrics.comparison),
        *terms_in_clips(metrics.key_terms, results.before, results.after, results.with_terms),
        changed(results.before, results.after),
        *suspicious(results.suspects),
        forgetting(metrics),
        *map(section_text, provenance_of(results)),
    ]
    return "\n\n".join(parts) + "\n"


def render_public(results: RunResults) -> str:
    """The run's section of the collected report: figures alone, of nobody in particular."""
    metrics, place = public_metrics(results.metrics), Place.of(results.metrics.environment)
    parts = [
        *_figures(metrics, results.losses),
        clip_counts(metrics.comparison),
        *suspect_counts(results.suspects),
        forgetting(metrics),
        section_text(data_facts(metrics)),
        section_text(artifact_counts(results.artifact)),
        section_text(public_commands(results.commands, place)),
        section_text(public_settings(results.config, metrics.training.reasons, place)),
        section_text(machine_facts(metrics)),
    ]
    return "\n\n".join(parts) + "\n"


def _figures(metrics: RunMetrics, losses: LossHistory) -> list[str]:
    """The parts that begin both."""
    verdict = metrics.verdict
    return [
        f"## {cell(metrics.run)}",
        f"**{cell(verdict.sentence)}**",
        *([cell(verdict.rule)] if verdict.rule else []),
        *map(cell, verdict.findings),
        *map(cell, verdict.cautions),
        result(metrics),
        _checks(shown(verdict.checks, metrics.device.name)),
        _training(losses, metrics.training.figures.best_step),
        groups(metrics.comparison),
        *text_section(metrics.comparison),
        *confidence_section(metrics.confidence),
        *key_terms_section(metrics.key_terms),
        *rare_words_section(metrics.rare_words),
    ]


def _checks(checks: list[Check]) -> str:
    rows = [(check.says, "yes" if check.passed else "NO", check.detail) for check in checks]
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


def next_steps_text(steps: Sequence[NextStep]) -> list[str]:
    """What to do now, a part each."""
    return [
        section_text(Section(title, [], [[step.command]], step.says))
        if step.command
        else f"### {title}\n\n{cell(step.says)}"
        for title, step in zip(("Next", *["Or"] * len(steps)), steps, strict=False)
    ]


def section_text(section: Section) -> str:
    """A section as a table; without a head, as lines of code."""
    text = f"### {cell(section.title)}"
    if section.head:
        text += "\n\n" + table(section.head, section.rows)
    else:
        text += "".join("\n\n" + code(str(row[0])) for row in section.rows)
    return text + (f"\n\n{cell(section.note)}" if section.note else "")
