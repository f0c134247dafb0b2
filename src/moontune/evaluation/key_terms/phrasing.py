"""Figures of key terms in words, as the console and every report say them."""

from __future__ import annotations

from dataclasses import dataclass

from moontune.evaluation.key_terms.counting import TermCounts
from moontune.evaluation.key_terms.figures import TermFigures
from moontune.evaluation.measures import Measure
from moontune.languages.table import current
from moontune.system.formatting import counted


@dataclass(frozen=True)
class TermLine:
    """One figure of both sides, in words; `change`, with its interval, is empty of most."""

    label: str
    before: str
    after: str
    change: str = ""


def term_lines(found: TermFigures) -> list[TermLine]:
    """Recall, precision, F1, false alarms and the error rate of all other words."""
    one, other = found.counts.before, found.counts.after
    recall = _difference(found.missed, sign=-1)
    language, words = current(), _difference(found.other_rate)
    return [
        TermLine(
            "recall",
            _share(one.recall, one.found, one.said),
            _share(other.recall, other.found, other.said),
            recall,
        ),
        TermLine("precision", *(_share(c.precision, c.found, c.written) for c in (one, other))),
        TermLine("F1", *(_percent(c.f1) for c in (one, other))),
        TermLine("false alarms/hour", *(_alarms(c, found.hours) for c in (one, other))),
        TermLine(
            f"other {language.unit}s' {language.rate_label}",
            _percent(found.other_rate.before),
            _percent(found.other_rate.after),
            words,
        ),
    ]


def term_sentence(found: TermFigures, names: tuple[str, str] | None) -> str:
    """How many terms were said and are written, in a sentence."""
    one, other = found.counts.before, found.counts.after
    said = f"{counted(other.said, 'key term')} said, of a list of {found.terms:,}"
    if not other.said:
        return f"None of the {counted(found.terms, 'key term')} is said in these clips."
    if names is None:
        return f"{said}: {other.found} are written."
    verdict = {
        "better": "surely more", "worse": "surely fewer", "undecided": "cannot be told apart",
    }[found.missed.outcome or "undecided"]  # fmt: skip
    return f"{said}: {names[0]} writes {one.found}, {names[1]} {other.found}: {verdict}."


def _difference(m: Measure, sign: int = 1) -> str:
    """Points, and their interval."""
    if m.difference is None:
        return ""
    ends = [] if m.difference_interval is None else sorted(sign * e for e in m.difference_interval)
    points, *interval = (f"{100 * value + 0.0:+.2f}" for value in (sign * m.difference, *ends))
    return f"{points} ({' to '.join(interval)})" if interval else points


def _share(value: float | None, part: int, whole: int) -> str:
    return "-" if value is None else f"{100 * value:.1f} % ({part} of {whole})"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f} %"


def _alarms(counts: TermCounts, hours: float) -> str:
    return f"{counts.invented / hours:.1f} ({counts.invented})" if hours else str(counts.invented)
