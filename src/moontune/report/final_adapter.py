"""An adapter trained on all clips: what is said of it, its report, and its section of the
collected one."""

from __future__ import annotations

from dataclasses import replace

from moontune.evaluation.acceptance import shown
from moontune.evaluation.measures import Comparison
from moontune.evaluation.phrasing import plainly, show, show_interval
from moontune.report.domain_text import text_section
from moontune.report.key_terms import key_terms_section
from moontune.report.markdown import cell, table
from moontune.report.markdown_tables import (
    bootstrap_note,
    measures,
    suspect_counts,
    suspicious,
)
from moontune.report.provenance import (
    Section,
    artifact_counts,
    artifact_facts,
    command_facts,
    machine_facts,
    origin_text,
    setting_facts,
)
from moontune.report.public import Place, public_commands, public_final, public_settings
from moontune.report.results.final import Expectation, FinalMetrics, FinalResults
from moontune.report.results.metrics import GeneralSpeech
from moontune.report.run_markdown import next_steps_text, section_text
from moontune.system.formatting import agreeing, counted

_OF_VALIDATION = ("val_share", "test_share", "split_by", "eval_every_steps", "early_stop_patience")


def statement(clips: int, set_aside: int, expected: Expectation) -> str:
    """The sentence that goes wherever the adapter goes: on what it was trained, and what to expect.

    It claims no measurement of the adapter: there is none.
    """
    trained = f"all {clips} clips"
    if set_aside:
        wrong = f"{counted(set_aside, 'transcript')} {agreeing(set_aside, 'looks', 'look')} wrong"
        trained = f"{clips - set_aside} of {clips} clips ({wrong})"
    return (
        f"Trained on {trained}; nothing was held out. Expected: "
        f"{_change(expected.comparison)}, measured by cross-validation over {expected.folds} folds."
    )


def expectation(expected: Expectation) -> str:
    """What to expect in plain words, said as what it is: the cross-validation's."""
    said = plainly(expected.comparison)
    return f"Expected, by the cross-validation: {said[:1].lower()}{said[1:]}"


def _change(comparison: Comparison) -> str:
    """The change in the error rate, or in loss where there are no reference words, with its
    interval."""
    name = comparison.rate if comparison.error_rate.measured else "loss"
    m = comparison.measures.get(name)
    if m is None or m.before is None or m.after is None:
        return "unknown, there being no figures"
    label = "loss" if name == "loss" else comparison.rate_label
    before = show(name, m.before).removesuffix(" %")
    span = show_interval(name, m.difference_interval)
    chance = "" if m.outcome != "undecided" else "; it cannot be told from chance"
    return f"{label} {before} -> {show(name, m.after)} (95 % interval of the change {span}{chance})"


def sections_of(results: FinalResults) -> list[Section]:
    """The record of the adapter, in the order of both reports."""
    metrics, artifact = results.metrics, artifact_facts(results.artifact)
    settings = setting_facts(results.config, metrics.training.reasons)
    return [
        data_facts(metrics),
        kept_facts(metrics),
        replace(artifact, note=_trained_on(artifact.note)),
        command_facts(metrics.environment.commands),
        _without_validation(settings),
        machine_facts(metrics),
    ]


def _public_sections(results: FinalResults, metrics: FinalMetrics) -> list[Section]:
    """The same for the collected report; `metrics` are the public ones."""
    place, artifact = Place.of(results.metrics.environment), artifact_counts(results.artifact)
    return [
        data_facts(metrics),
        kept_facts(metrics),
        replace(artifact, note=_trained_on(artifact.note)),
        public_commands(results.metrics.environment.commands, place),
        _without_validation(public_settings(results.config, metrics.training.reasons, place)),
        machine_facts(metrics),
    ]


def _trained_on(note: str) -> str:
    return f"Clips that it was trained on. {note}"


def _without_validation(settings: Section) -> Section:
    return replace(settings, rows=[row for row in settings.rows if row[0] not in _OF_VALIDATION])


def data_facts(metrics: FinalMetrics) -> Section:
    """The clips that it was trained on, all of them."""
    corpus, general = metrics.corpus, metrics.general
    speakers = corpus.speakers if metrics.expected.comparison.speakers else "-"
    row = ["trained on", corpus.utterances, speakers, f"{corpus.minutes:.1f}"]
    dropped = ", ".join(f"{n} {reason}" for reason, n in corpus.dropped.items()) or "none"
    note = (
        f"Dropped: {dropped}. References are {metrics.references}, labels {metrics.labels}. "
        f"Origin: {origin_text(corpus.origin)}."
    )
    for use, origin in (
        ("Checked for forgetting on", general.origin),
        ("Replayed", general.replay),
    ):
        note += f" {use}: {origin_text(origin)}." if origin else ""
    return Section(
        "Data", ["", "clips", "speakers", "minutes"], [row, ["held out", 0, "-", "0"]], note
    )


def kept_facts(metrics: FinalMetrics) -> Section:
    """The updates that the folds kept, and the one that follows from them."""
    kept = metrics.kept
    rows = [
        [f"fold-{n}", step or "the base", planned, f"{100 * step / planned:.0f} %"]
        for n, (step, planned) in enumerate(kept.folds, start=1)
    ]
    rows.append(
        ["on all clips", kept.step, kept.planned, f"{100 * kept.step / kept.planned:.0f} %"]
    )
    note = (
        f"Nothing validated this training. It ended with update {kept.step} of the "
        f"{kept.planned} planned: the share at which the folds that kept an update kept theirs, "
        f"the median ({100 * kept.share:.0f} %)."
    )
    return Section("The update kept", ["training", "kept", "of", "share"], rows, note)


def render_final(results: FinalResults) -> str:
    """The adapter's own report."""
    parts = [
        *_figures(results.metrics, results.cautions),
        *next_steps_text(results.next_steps),
        *suspicious(results.suspects),
        *map(section_text, sections_of(results)),
    ]
    return "\n\n".join(parts) + "\n"


def render_final_public(results: FinalResults) -> str:
    """Its section of the collected report: figures alone, of nobody in particular."""
    metrics = public_final(results.metrics)
    parts = [
        *_figures(metrics, replace(results, metrics=metrics).cautions),
        *suspect_counts(results.suspects),
        *map(section_text, _public_sections(results, metrics)),
    ]
    return "\n\n".join(parts) + "\n"


def _figures(metrics: FinalMetrics, cautions: list[str]) -> list[str]:
    """The parts that begin both."""
    expected, comparison = metrics.expected, metrics.expected.comparison
    checks = shown(metrics.checks, metrics.device.name)
    rows = [(check.says, "yes" if check.passed else "NO", check.detail) for check in checks]
    return [
        f"## {cell(metrics.run)}, an adapter trained on all clips",
        f"**{cell(expectation(expected))}**",
        cell(metrics.statement),
        *map(cell, cautions),
        f"### Expected, from the cross-validation {cell(expected.crossval)}\n\n"
        + cell(
            "No figure of this table is of this adapter: each fold's adapter had the other folds' "
            "clips alone, and every clip was tested once, by one that had not met it."
        ),
        measures(comparison, ("base", "the folds' adapters")),
        cell(comparison.says),
        bootstrap_note(comparison),
        *text_section(comparison),
        *key_terms_section(expected.key_terms),
        "### Checks\n\n" + table(("check", "", "detail"), rows),
        _forgetting(metrics.general),
    ]


def _forgetting(general: GeneralSpeech) -> str:
    """The one thing that was measured on this adapter."""
    text = "### What it kept\n\n"
    if general.comparison is None:
        return text + cell(general.remark or "General speech was not looked at (--general off).")
    clips = counted(general.comparison.utterances, "clip")
    return (
        f"{text}Measured on this adapter: {clips} of general speech that it was not trained on."
        f"\n\n{measures(general.comparison)}\n\n{bootstrap_note(general.comparison)}"
    )
