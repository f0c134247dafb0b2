"""The report of a cross-validation: its own, and its section of the collected one."""

from __future__ import annotations

from typing import Any

from moontune.data.recordings import KeptTogether
from moontune.data.sources.base import DataOrigin
from moontune.evaluation.measures import Comparison
from moontune.evaluation.phrasing import plainly, show
from moontune.languages.table import RATES
from moontune.report.confidence import confidence_section
from moontune.report.domain_text import text_section
from moontune.report.key_terms import (
    key_terms_section,
    public_key_terms,
    rare_words_section,
    terms_in_clips,
)
from moontune.report.markdown import cell
from moontune.report.markdown_tables import (
    bootstrap_note,
    changed,
    clip_counts,
    edits,
    groups,
    measures,
    suspect_counts,
    suspicious,
    words,
)
from moontune.report.provenance import (
    Section,
    kept_text,
    origin_text,
)
from moontune.report.public import (
    public_cautions,
    public_comparison,
)
from moontune.report.results.crossval import CrossvalResults, FoldFigures
from moontune.report.results.metrics import GeneralSpeech
from moontune.report.run_markdown import next_steps_text, section_text
from moontune.system.formatting import counted


def fold_facts(folds: list[FoldFigures], split: dict[str, Any], origin: DataOrigin) -> Section:
    def arrow(pair: tuple[float | None, float | None] | None, name: str) -> str:
        before, after = pair or (None, None)
        if before is None or after is None:
            return "-"
        return f"{show(name, before)} -> {show(name, after)}"

    rows = [
        [
            fold.fold,
            fold.train_utterances,
            fold.utterances,
            fold.speakers or "-",
            arrow(fold.errors, fold.rate),
            arrow(fold.loss, "loss"),
            arrow(fold.general_errors, fold.rate),
            f"{fold.best_step} of {fold.steps}",
        ]
        for fold in folds
    ]
    label = RATES[folds[0].rate][0]
    head = ["fold", "trained on", "test clips", "speakers", label, "loss"]
    head.append(f"{label}, general speech")
    kept = KeptTogether.from_json(split.get("kept_together"))
    unmet = "its session" if kept is not None and kept.has_sessions else "it"
    unmet = "its speaker" if split["split_by"] == "speaker" else unmet
    note = (
        f"Each clip is tested once, by an adapter that never met {unmet}. Training took "
        f"{sum(fold.seconds for fold in folds):.0f} s in all. {kept_text(kept)}"
        f"Origin: {origin_text(origin)}."
    )
    return Section("Folds", [*head, "update kept"], rows, note)


def own_markdown(results: CrossvalResults, sections: list[Section]) -> str:
    """The cross-validation's own report."""
    parts = [
        *_figures_of_all(results.name, results.comparison, results.cautions, sections[0]),
        *key_terms_section(results.key_terms),
        *rare_words_section(results.rare_words),
        words(results.comparison),
        *terms_in_clips(results.key_terms, results.before, results.after, results.with_terms),
        changed(results.before, results.after),
        *suspicious(results.suspects),
        *confidence_section(results.confidence),
        *_kept(results.general),
        *next_steps_text(results.next_steps),
        *map(section_text, sections[1:]),
    ]
    return "\n\n".join(parts) + "\n"


def _kept(general: GeneralSpeech | None) -> list[str]:
    """What the folds' adapters kept of general speech; nothing where that was not measured."""
    if general is None or general.comparison is None:
        return []
    found = general.comparison
    return [
        f"### What it kept\n\nEvery fold's adapter on the same {counted(found.utterances, 'clip')} "
        "of general speech, which none was trained on: all of them together.",
        measures(found),
        cell(found.says),
        bootstrap_note(found),
    ]


def public_markdown(
    results: CrossvalResults, general: GeneralSpeech | None, sections: list[Section]
) -> str:
    """Its section of the collected report: figures alone, of nobody in particular."""
    comparison, said = public_comparison(results.comparison), public_cautions(results.cautions)
    parts = [
        *_figures_of_all(results.name, comparison, said, sections[0]),
        *key_terms_section(public_key_terms(results.key_terms)),
        *rare_words_section(results.rare_words),
        clip_counts(comparison),
        *suspect_counts(results.suspects),
        *confidence_section(results.confidence),
        *_kept(general),
        *map(section_text, sections[1:]),
    ]
    return "\n\n".join(parts) + "\n"


def _figures_of_all(
    name: str, comparison: Comparison, said: list[str], folds: Section
) -> list[str]:
    """The parts that begin both."""
    sentences = comparison.sentences
    return [
        f"## {cell(name)}, cross-validation",
        f"**{cell(plainly(comparison))}**",
        cell(comparison.says),
        *(cell(sentences[name]) for name in ("loss", "typography") if name in sentences),
        *map(cell, said),
        measures(comparison),
        edits(comparison),
        bootstrap_note(comparison),
        *text_section(comparison),
        section_text(folds),
        groups(comparison),
    ]
