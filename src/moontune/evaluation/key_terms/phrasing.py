"""Figures of key terms in words, as the console and every report say them."""

from __future__ import annotations

from dataclasses import dataclass

from moontune.evaluation.key_terms.bonus import ChosenBonus
from moontune.evaluation.key_terms.counting import TermCounts
from moontune.evaluation.key_terms.figures import TermFigures
from moontune.evaluation.key_terms.rare_words import SELDOM, RareGroup, RareWords
from moontune.evaluation.key_terms.results import KeyTermResults
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
        whole = f"None of the {found.terms:,} key terms is"
        return f"{whole if found.terms > 1 else 'The key term is not'} said in these clips."
    if names is None:
        return f"{said}: {other.found} are written."
    return (
        f"{said}: {names[0]} writes {one.found}, {names[1]} {other.found}: {_surely(found.missed)}."
    )


@dataclass(frozen=True)
class ModelRow:
    """Key terms in what one model writes, the list written or not, in words."""

    label: str
    recall: str
    precision: str
    f1: str
    alarms: str  # false ones an hour
    other_rate: str  # errors in all other words


def model_rows(found: KeyTermResults) -> list[ModelRow]:
    """Base and tuned model as they are, and then with the list written, where it is."""
    one, other = found.writing.before, found.writing.after
    rows = [
        _model_row(
            "base", found.tuning.counts.before, found.tuning, found.tuning.other_rate.before
        ),
        _model_row("tuned", found.tuning.counts.after, found.tuning, found.tuning.other_rate.after),
    ]
    if found.is_written:
        rows += [
            _model_row("base, list written", one.counts.after, one, one.other_rate.after),
            _model_row("tuned, list written", other.counts.after, other, other.other_rate.after),
        ]
    return rows


def _model_row(label: str, counts: TermCounts, of: TermFigures, rate: float | None) -> ModelRow:
    return ModelRow(
        label,
        _share(counts.recall, counts.found, counts.said),
        _share(counts.precision, counts.found, counts.written),
        _percent(counts.f1),
        _alarms(counts, of.hours),
        _percent(rate),
    )


def key_term_sentences(found: KeyTermResults) -> list[str]:
    """What the tuning brings, and what writing the list brings either model, a sentence each."""
    sentences = [term_sentence(found.tuning, ("the base", "the tuned model"))]
    if found.tells_nothing:
        return sentences
    if found.tuning.counts.after.said:
        sentences.append(_change("Tuning, the list not written", found.tuning))
    if found.is_written:
        for name, one in (("base", found.writing.before), ("tuned model", found.writing.after)):
            sentences.append(_change(f"Writing the list, {name}", one))
    return [*sentences, *_chosen(found)]


def key_terms_in_short(found: KeyTermResults) -> list[str]:
    """The two that a user of the tuned model asks for."""
    said = term_sentence(found.tuning, ("the base", "the tuned model"))
    if found.tells_nothing:
        return [said]
    return [
        said,
        _change("Writing the list, tuned model", found.writing.after)
        if found.is_written
        else f"The list is {_bonuses(found.chosen.after)}.",
    ]


def _change(what: str, found: TermFigures) -> str:
    one, other = found.counts.before, found.counts.after
    if one == other and not found.other_rate.difference:
        return f"{what}: no figure changes."
    parts = [f"{counted(one.invented, 'false alarm')} before, {other.invented} then"]
    if points := _points(found.missed, sign=-1):
        parts.insert(0, f"recall {points}, {_surely(found.missed)}")
    if points := _points(found.other_rate):
        parts.append(f"{current().rate_label} of all other {current().unit}s {points}")
    return f"{what}: {'; '.join(parts)}."


def _points(m: Measure, sign: int = 1) -> str:
    """A difference and its interval in words; "" where nothing was measured."""
    if m.difference == 0 and set(m.difference_interval or ()) <= {0.0}:
        return "unchanged"
    points, _, interval = _difference(m, sign).partition(" (")
    more = f", 95 % interval {interval.removesuffix(')')}" if interval else ""
    return f"{points} points{more}" if points else ""


def _chosen(found: KeyTermResults) -> list[str]:
    """Which bonus the list is written with, and why."""
    sides = (("base", found.chosen.before), ("tuned model", found.chosen.after))
    return [f"{name[:1].upper()}{name[1:]}, {_bonuses(chosen)}." for name, chosen in sides]


def _bonuses(chosen: tuple[ChosenBonus, ...]) -> str:
    if len(chosen) == 1:
        return chosen[0].says
    listed = ", ".join("none" if one.bonus is None else f"{one.bonus:g}" for one in chosen)
    return f"bonus of each fold, by its own validation clips: {listed}"


def rare_sentences(found: RareWords, names: tuple[str, str]) -> list[str]:
    """How many words that training hardly had both models write, a sentence a group."""
    here = f"content {current().unit}s in the test clips that training"
    also = "that it" if found.never.said else here
    among = ", those among them" if found.never.said else ""
    groups = (
        (found.never, f"{here} never had"),
        (found.seldom, f"{also} had at most {_TIMES[SELDOM]}{among}"),
    )
    return [_rare(group, what, names) for group, what in groups if group.said]


_TIMES = {1: "once", 2: "twice"}


def _rare(group: RareGroup, what: str, names: tuple[str, str]) -> str:
    one, other = (_percent(n / group.said) for n in vars(group.written).values())
    return (
        f"Of {group.said:,} {what} ({group.words:,} different), {names[0]} writes {one}, "
        f"{names[1]} {other}: {_surely(group.missed)} ({_points(group.missed, sign=-1)})."
    )


def _surely(missed: Measure) -> str:
    """Whether more or fewer are written, by the share that is not."""
    return {
        "better": "surely more", "worse": "surely fewer", "undecided": "cannot be told apart",
    }[missed.outcome or "undecided"]  # fmt: skip


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
