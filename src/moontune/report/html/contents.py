"""The contents of pages: of a run, of two runs compared, of a cross-validation and its adapter."""

from __future__ import annotations

from dataclasses import replace

from moontune.config.loading import setting_text, to_dict
from moontune.config.schema import RunConfig
from moontune.config.validation import in_effect
from moontune.evaluation.acceptance import Verdict, shown
from moontune.evaluation.measures import Comparison
from moontune.evaluation.phrasing import plainly
from moontune.report.final_adapter import sections_of
from moontune.report.html.page import Badge, Heading, Page, render_final_page, render_page
from moontune.report.provenance import Section, command_facts, provenance_of
from moontune.report.results.compared import RunComparison
from moontune.report.results.crossval import CrossvalResults, SweepTrials
from moontune.report.results.final import FinalResults
from moontune.report.results.metrics import RunMetrics
from moontune.report.results.run import RunResults

_OUTCOMES = {"better": "better", "smoke": "better", "undecided": "undecided"}


def run_page(
    results: RunResults,
    clips: int,
    *,
    heading: Heading | None = None,
    trials: SweepTrials | None = None,
) -> str:
    """The page of a run, or of a sweep that it was the best of; `clips` at most."""
    metrics, verdict = results.metrics, results.metrics.verdict
    page = Page(
        heading=heading or Heading("run report", results.name, question_of(metrics)),
        sentence=trials.advice.says if trials else plainly(metrics.comparison),
        comparison=metrics.comparison,
        predictions=(results.before, results.after),
        audio=results.audio,
        badge=_advised(trials) or Badge(_OUTCOMES.get(verdict.state, "worse"), verdict.badge),
        rule="" if trials else verdict.rule,
        trials=trials,
        next_steps=trials.next_steps if trials else metrics.next_steps,
        cautions=[*_reasons(verdict), *verdict.cautions],
        general=metrics.general,
        checks=shown(verdict.checks, metrics.device.name),
        losses=results.losses,
        best_step=metrics.training.figures.best_step,
        facts=provenance_of(results),
        suspects=results.suspects,
        confidence=metrics.confidence,
        new_clips=metrics.new_clips.sentences if metrics.new_clips else (),
        key_terms=metrics.key_terms,
        with_terms=results.with_terms,
        rare_words=metrics.rare_words,
    )
    return render_page(page, clips)


def question_of(metrics: RunMetrics) -> str:
    """The question that a run answers."""
    return question(metrics.comparison, by_speaker=metrics.data.kept is None)


def question(comparison: Comparison, *, by_speaker: bool) -> str:
    """The question that held-out clips answer, by how they were held out."""
    if by_speaker:
        return "Does it hear new voices better?"
    if not comparison.speakers:  # whose voices, and how many, nobody said
        return "Does it hear new recordings better?"
    if comparison.speakers == 1:
        return "Does it hear this voice better?"
    return "Does it hear these voices better?"


def _advised(trials: SweepTrials | None) -> Badge | None:
    return Badge(trials.advice.outcome, trials.advice.badge) if trials else None


def badge_of(comparison: Comparison) -> Badge | None:
    """The badge of a comparison that nothing but its figures judges; None without words."""
    outcome = comparison.error_rate.outcome
    return None if outcome is None else Badge(outcome, outcome.capitalize())


def _reasons(verdict: Verdict) -> list[str]:
    """Reasons the chip alone does not tell: a smoke run's leniency, or the checks that failed
    where no line of the rule says so, as in older runs."""
    if verdict.accepted:
        return ["Accepted as a smoke run, on its artifacts alone."] if verdict.smoke else []
    if verdict.rule:
        return []
    failed = [check for check in verdict.checks if not check.passed]
    return [f"Not accepted: {check.says}: {check.detail}." for check in failed]


def _named(runs: RunComparison) -> Badge | None:
    """Which of two runs hears better. Where they adapt two bases, that is not the tuning's doing
    alone, and no colour says it is."""
    if runs.comparison.error_rate.outcome is None:
        return None
    if runs.better is None:
        return Badge("undecided", "Cannot be told apart")
    if runs.bases:
        return Badge("mixed", f"{runs.better} is better, on another base")
    return Badge("better", f"{runs.better} is better")


def comparison_page(
    runs: RunComparison,
    clips: int,
    *,
    heading: Heading | None = None,
    trials: SweepTrials | None = None,
) -> str:
    """The page of two runs' tuned models side by side, or of a sweep's own settings and best."""
    names = runs.names
    commands = dict.fromkeys(
        tuple(words) for run in (runs.before, runs.after) for words in run.commands
    )
    page = Page(
        heading=heading
        or Heading("comparison of two runs", f"{names[0]} and {names[1]}", "Which hears better?"),
        sentence=trials.advice.says if trials else runs.plain,
        badge=_advised(trials) or _named(runs),
        trials=trials,
        next_steps=trials.next_steps if trials else runs.next_steps,
        comparison=runs.comparison,
        predictions=(runs.before.predictions, runs.after.predictions),
        audio=runs.before.audio,
        cautions=runs.remarks,
        key_terms=runs.key_terms,
        names=names,
        facts=[
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
        heading=Heading(
            f"cross-validation, {len(results.folds)} folds",
            results.name,
            question(results.comparison, by_speaker=results.by_speaker),
        ),
        sentence=plainly(results.comparison),
        badge=badge_of(results.comparison),
        trainings=results.trainings,
        next_steps=results.next_steps,
        comparison=results.comparison,
        predictions=(results.before, results.after),
        audio=results.audio,
        cautions=results.cautions,
        general=results.general,
        facts=facts,
        suspects=results.suspects,
        confidence=results.confidence,
        key_terms=results.key_terms,
        with_terms=results.with_terms,
        rare_words=results.rare_words,
    )
    return render_page(page, clips)


def final_page(results: FinalResults, clips: int) -> str:
    """The page of an adapter trained on all clips: what to expect, and what was checked."""
    metrics, badge = results.metrics, badge_of(results.metrics.expected.comparison)
    if badge is not None:
        badge = replace(badge, text=f"Expected: {badge.text.lower()}")
    if not metrics.usable:
        badge = Badge("worse", "A check failed")
    return render_final_page(results, badge, sections_of(results), clips)
