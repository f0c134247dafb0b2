"""Key terms and rare words of a run, or of all folds, in sentences and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from moontune.evaluation.key_terms.counting import TermCounts
from moontune.evaluation.key_terms.figures import TermFigures
from moontune.evaluation.key_terms.phrasing import (
    key_term_sentences,
    model_rows,
    rare_sentences,
    term_lines,
    term_sentence,
)
from moontune.evaluation.key_terms.rare_words import RareWords
from moontune.evaluation.key_terms.results import KeyTermResults
from moontune.evaluation.measures import Sides
from moontune.evaluation.predictions import PredictionRow
from moontune.languages.table import current
from moontune.report.markdown import cell, table

_MISSED = 12  # clips that Markdown lists
NAMES = ("the base", "the tuned model")
TITLE, RARE_TITLE = "Key terms", "Words that training hardly had"


@dataclass(frozen=True)
class TermTable:
    """How often each term was said and is written: by the base and the tuned model, and by both
    with the list written, where it is."""

    head: tuple[str, ...]
    rows: list[tuple[str, ...]]  # the term, how often it was said, and a cell for each model


def model_table(found: KeyTermResults) -> TermTable:
    """Figures of the whole list, a row a model; none where there is nothing to tell."""
    label = f"{current().rate_label} of other {current().unit}s"
    return TermTable(
        ("", "recall", "precision", "F1", "false alarms/hour", label),
        [
            (row.label, row.recall, row.precision, row.f1, row.alarms, row.other_rate)
            for row in ([] if found.tells_nothing else model_rows(found))
        ],
    )


def term_table(found: KeyTermResults) -> TermTable:
    """The terms that were said or written, most often said first."""
    columns = {"base": _before(found.tuning), "tuned": _after(found.tuning)}
    if found.is_written:
        columns["base, list written"] = _after(found.writing.before)
        columns["tuned, list written"] = _after(found.writing.after)
    return _by_term(columns)


def compared_model_table(found: TermFigures, names: tuple[str, str]) -> TermTable:
    """Figures of a list in what two runs write, a row a figure."""
    rows: list[tuple[str, ...]] = [
        (line.label, line.before, line.after, line.change) for line in term_lines(found)
    ]
    return TermTable(("", *names, "change (95 % interval)"), rows)


def compared_term_table(found: TermFigures, names: tuple[str, str]) -> TermTable:
    """The terms that were said or that two runs write, most often said first."""
    return _by_term({names[0]: _before(found), names[1]: _after(found)})


def _by_term(columns: Mapping[str, Mapping[str, TermCounts]]) -> TermTable:
    terms = dict.fromkeys(term for column in columns.values() for term in column)
    said = {term: max(c[term].said for c in columns.values() if term in c) for term in terms}
    rows = [
        (term, str(said[term]), *(_cell(column.get(term)) for column in columns.values()))
        for term in sorted(terms, key=lambda term: (-said[term], term))
    ]
    return TermTable(("term", "said", *columns), rows)


def _before(found: TermFigures) -> Mapping[str, TermCounts]:
    return {row.term: row.before for row in found.by_term}


def _after(found: TermFigures) -> Mapping[str, TermCounts]:
    return {row.term: row.after for row in found.by_term}


def _cell(counts: TermCounts | None) -> str:
    """How often it is written where it was said, and how often where it was not."""
    if counts is None:
        return "0"
    return f"{counts.found}, {counts.invented} false" if counts.invented else str(counts.found)


def missed_by_clip(found: TermFigures) -> dict[str, list[str]]:
    """The terms that the second model misses, by clip."""
    missed: dict[str, list[str]] = {}
    for one in found.missed_clips:
        missed.setdefault(one.clip, []).append(one.term)
    return missed


def key_terms_section(found: KeyTermResults | None) -> list[str]:
    """Figures of the list, as Markdown; nothing where a run has none."""
    if found is None:
        return []
    models = model_table(found)
    shown = [table(models.head, models.rows)] if models.rows else []
    return ["\n\n".join([f"### {TITLE}", *shown, *map(cell, key_term_sentences(found))])]


def compared_terms_section(found: TermFigures | None, names: tuple[str, str]) -> list[str]:
    """The same of two runs, and term by term; nothing where no list was asked for."""
    if found is None:
        return []
    tables = (compared_model_table(found, names), compared_term_table(found, names))
    shown = [table(one.head, one.rows) for one in tables if one.rows]
    return ["\n\n".join([f"### {TITLE}", cell(term_sentence(found, names)), *shown])]


def rare_words_section(found: RareWords | None) -> list[str]:
    """How many words that training hardly had are written, as Markdown; nothing where none was
    said."""
    sentences = rare_sentences(found, NAMES) if found else []
    return ["\n\n".join([f"### {RARE_TITLE}", *map(cell, sentences)])] if sentences else []


def terms_in_clips(
    found: KeyTermResults | None,
    before: Sequence[PredictionRow],
    after: Sequence[PredictionRow],
    with_terms: Mapping[str, str],
) -> list[str]:
    """By term, and the clips with terms missed, as Markdown: what was said and written."""
    if found is None:
        return []
    parts = []
    terms = term_table(found)
    if terms.rows:
        parts.append(f"### {TITLE} one by one\n\n{table(terms.head, terms.rows)}")
    missed = missed_by_clip(found.tuning)
    if missed:
        base, tuned = ({row["id"]: row for row in rows} for rows in (before, after))
        rows = [
            (
                clip,
                ", ".join(names),
                tuned[clip]["reference"],
                base[clip]["hypothesis"],
                tuned[clip]["hypothesis"],
                with_terms.get(clip, tuned[clip]["hypothesis"]),
            )
            for clip, names in list(missed.items())[:_MISSED]
        ]
        head = ("clip", "missed", "reference", "base", "tuned", "tuned, list written")
        parts.append(f"### Clips with terms missed\n\n{table(head, rows)}")
    return parts


def public_key_terms(found: KeyTermResults | None) -> KeyTermResults | None:
    """The figures: no term is named, and no clip."""
    if found is None:
        return None

    def figures(one: TermFigures) -> TermFigures:
        return replace(one, by_term=(), missed_clips=())

    return KeyTermResults(
        figures(found.tuning),
        Sides(figures(found.writing.before), figures(found.writing.after)),
        found.chosen,
    )
