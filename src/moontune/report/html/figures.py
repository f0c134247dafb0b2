"""A comparison as the page shows it: cards and tables of written figures, with their plots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from moontune.evaluation.measures import Comparison, GroupRow, Measure, Sides
from moontune.evaluation.phrasing import at_speeds, effect_shown
from moontune.report.html import svg
from moontune.report.html.templating import FIXED_SPACE
from moontune.report.results.crossval import SweepTrials, TrialFigures

_TITLES = {
    "wer": "Word error rate",
    "wer_consensus": "Word error rate by consensus of beams",
    "wer_consensus_text": "Word error rate by consensus with your text",
    "cer": "Character error rate",
    "cer_consensus": "Character error rate by consensus of beams",
    "cer_consensus_text": "Character error rate by consensus with your text",
    "loss": "Loss",
    "loss_words": "words",
    "loss_typography": "case and punctuation",
}
_NAME = 40  # characters of a speaker's name
_MOST_GROUPS = 60  # more rows nobody reads
_OUTCOMES = {"better": "Better", "worse": "Worse", "undecided": "Undecided"}


@dataclass(frozen=True)
class Unit:
    """The unit of a measure: factor, digits and suffix of its written figures."""

    factor: float
    digits: int
    change_digits: int
    suffix: str
    change_suffix: str

    def figure(self, value: float | None) -> str:
        return "–" if value is None else f"{self.factor * value:.{self.digits}f}{self.suffix}"

    def signed(self, value: float | None) -> str:
        """A difference without its unit; a true minus, and no sign at zero."""
        if value is None:
            return "–"
        text = f"{self.factor * value:+.{self.change_digits}f}"
        return text.replace("-", "−") if float(text) else text[1:]

    def change(self, value: float | None) -> str:
        return self.signed(value) + ("" if value is None else self.change_suffix)

    def tick(self, value: float) -> str:
        return f"{self.factor * value:g}".replace("-", "−") + self.suffix

    def change_tick(self, value: float) -> str:
        text = f"{self.factor * value:+g}" if value else "0"
        return text.replace("-", "−")

    def interval(self, ends: Sequence[float] | None) -> str:
        return "–" if ends is None else " to ".join(self.signed(end) for end in ends)


_PERCENT = FIXED_SPACE + "%"
RATE = Unit(100, 1, 2, _PERCENT, " points")
SHARE = Unit(100, 1, 1, _PERCENT, _PERCENT)
NATS = Unit(1, 3, 3, "", "")


@dataclass(frozen=True)
class Card:
    """One measure: its figures, what they mean, and the two plots."""

    title: str
    unit: str
    before: str
    after: str
    change: str
    relative: str
    interval: str
    same_speakers: str
    outcome: str  # better | worse | undecided | ""
    outcome_text: str
    sure: str
    levels: Markup | None
    difference: Markup | None
    folded: bool  # not what is asked


def measure_cards(comparison: Comparison, labels: tuple[str, str]) -> list[Card]:
    """The error rate that leads, also of the consensus and with a text, CER and loss, as far as
    they were measured. What is not asked is folded."""
    measures, consensus = comparison.measures, f"{comparison.rate}_consensus"
    with_text = f"{consensus}_text"
    asked = (comparison.rate, consensus, with_text)
    open_ones = [measures[name] for name in asked if name in measures]
    cards = {
        name: _card(name, measures[name], labels, open_ones if name in asked else [])
        for name in dict.fromkeys((*asked, "cer", "loss"))
        if measures.get(name) is not None
    }
    text = comparison.domain_text
    for name, against, change in (
        (consensus, "greedy", comparison.consensus),
        (with_text, "consensus without it", text and text.change),
    ):
        if name in cards and change is not None:
            said = (cards[name].sure, _against(against, change, labels))
            title = cards[name].title + at_speeds(comparison)
            cards[name] = replace(cards[name], title=title, sure=". ".join(filter(None, said)))
    return list(cards.values())


def _against(what: str, found: Sides[Measure], labels: tuple[str, str]) -> str:
    """What another decoding changes in either model's errors."""
    parts = [
        f"{label} {RATE.change(m.difference)} ({RATE.interval(m.difference_interval)})"
        for label, m in zip(labels, (found.before, found.after), strict=True)
    ]
    return f"Against {what}: {'; '.join(parts)}"


def _card(name: str, measure: Measure, labels: tuple[str, str], beside: Sequence[Measure]) -> Card:
    """`beside`: measures whose plots stand next to its own, on the same axes."""
    unit = NATS if name == "loss" else RATE
    title = _TITLES[name]
    outcome = measure.outcome or ""
    same = measure.same_speakers
    return Card(
        title=title,
        unit="nats per target token" if name == "loss" else "",
        before=unit.figure(measure.before),
        after=unit.figure(measure.after),
        change=unit.change(measure.difference),
        relative="" if measure.relative is None else SHARE.change(measure.relative),
        interval=unit.interval(measure.difference_interval),
        same_speakers=unit.interval(same.difference_interval) if same else "",
        outcome=outcome,
        outcome_text=_OUTCOMES.get(outcome, "Change"),
        sure=_certainty(measure),
        levels=_levels(title, measure, unit, labels, beside),
        difference=_difference(title, measure, unit, beside),
        folded=not beside,
    )


def _certainty(measure: Measure) -> str:
    """The probability that the change is a gain, and how many clips would settle it."""
    chance = measure.probability_better
    if chance is None or not any((measure.difference, *(measure.difference_interval or ()))):
        return ""
    share = "more than 99.9" if chance > 0.999 else "less than 0.1" if chance < 0.001 else None
    text = f"Better with a probability of {share or f'{100 * chance:.1f}'} %"
    if measure.outcome == "undecided" and measure.utterances_needed:
        text += f"; about {measure.utterances_needed:,} clips would show {effect_shown(measure)}"
    return text


def _levels(
    title: str,
    measure: Measure,
    unit: Unit,
    labels: tuple[str, str],
    beside: Sequence[Measure],
) -> Markup | None:
    if measure.before is None or measure.after is None:
        return None
    rows = [
        (labels[0], svg.Whisker(measure.before, measure.before_interval, "before")),
        (labels[1], svg.Whisker(measure.after, measure.after_interval, "after")),
    ]
    text = "; ".join(
        f"{label} {unit.figure(w.value)}"
        + (f" ({' to '.join(map(unit.figure, w.interval))})" if w.interval else "")
        for label, w in rows
    )
    caption = svg.Caption(f"{title} with 95 % intervals", text + ".")
    ends = [
        end
        for m in beside
        for end in (m.before, m.after, *(m.before_interval or ()), *(m.after_interval or ()))
    ]
    return svg.levels(rows, unit.tick, caption, ends)


def _difference(
    title: str, measure: Measure, unit: Unit, beside: Sequence[Measure]
) -> Markup | None:
    if measure.difference is None:
        return None
    same = measure.same_speakers
    text = (
        f"{unit.change(measure.difference)}, interval {unit.interval(measure.difference_interval)}."
    )
    caption = svg.Caption(f"Paired difference in {title.lower()}, left of zero is better", text)
    whisker = _whisker(measure, same.difference_interval if same else None)
    ends = [end for m in beside for end in (m.difference, *(m.difference_interval or ()))]
    return svg.change(whisker, unit.change_tick, caption, ends)


def _whisker(measure: Measure, inner: Sequence[float] | None = None) -> svg.Whisker:
    """The difference in a measure."""
    return svg.Whisker(
        measure.difference, measure.difference_interval, measure.outcome or "undecided", inner
    )


@dataclass(frozen=True)
class PartRow:
    """A part of the loss."""

    name: str
    before: str
    after: str
    change: str
    interval: str
    outcome: str
    plot: Markup


@dataclass(frozen=True)
class LossParts:
    """The loss split into words and typography, a row each and one for both."""

    head: Markup
    rows: list[PartRow]


def loss_parts(comparison: Comparison) -> LossParts | None:
    """None where losses were not measured."""
    measures = {
        name: measure
        for name in ("loss_words", "loss_typography", "loss")
        if (measure := comparison.measures.get(name)) and measure.difference is not None
    }
    if not measures.keys() - {"loss"}:
        return None
    ends = [
        end for m in measures.values() for end in (m.difference, *(m.difference_interval or ()))
    ]
    scale = svg.axis([0.0, *ends], ticks=3, least=0.01)
    rows = [
        PartRow(
            name=_TITLES[name] if name != "loss" else "together",
            before=NATS.figure(measure.before),
            after=NATS.figure(measure.after),
            change=NATS.change(measure.difference),
            interval=NATS.interval(measure.difference_interval),
            outcome=measure.outcome or "",
            plot=svg.forest(scale, _whisker(measure)),
        )
        for name, measure in measures.items()
    ]
    return LossParts(svg.scale_row(scale, NATS.change_tick), rows)


@dataclass(frozen=True)
class TrialTableRow:
    """A trial of a sweep: its figures and its place on the axis of all."""

    trial: TrialFigures
    loss: str
    plot: Markup


@dataclass(frozen=True)
class TrialTable:
    """Validation loss of each trial, the least first."""

    head: Markup
    rows: list[TrialTableRow]


def trial_table(trials: SweepTrials) -> TrialTable:
    """The trials as a picture: the best as a dot, the run's own settings as a ring."""
    scale = svg.axis([row.loss for row in trials.rows], ticks=3, least=0.01)
    rows = [
        TrialTableRow(row, NATS.figure(row.loss), svg.point(scale, row.loss, _trial_kind(row)))
        for row in trials.rows
    ]
    return TrialTable(svg.scale_row(scale, NATS.tick), rows)


def _trial_kind(row: TrialFigures) -> str:
    return "dot better" if row.state == "best" else "ring" if row.number == 0 else "dot undecided"


@dataclass(frozen=True)
class GroupTableRow:
    """Errors of a speaker, or of clips of like length."""

    name: str
    utterances: int
    words: int
    before: str
    after: str
    change: str
    outcome: str
    plot: Markup


@dataclass(frozen=True)
class GroupTable:
    """Errors of each group from before to after."""

    head: Markup
    rows: list[GroupTableRow]
    measured: bool  # any group has words to measure on
    left_out: int  # groups between the best and the worst


def group_axis(groups: Sequence[GroupRow]) -> svg.Axis:
    """The axis of all tables of groups on a page, so that lengths in them can be compared."""
    rates = [rate for group in groups for rate in (group.before, group.after)]
    return svg.axis([0.0, *rates], floor=0.0)


def group_table(groups: list[GroupRow], scale: svg.Axis, *, by_change: bool) -> GroupTable | None:
    """`by_change` puts the largest gain first. Of very many groups, the best and the worst."""
    if not groups:
        return None
    if by_change:
        groups = sorted(groups, key=lambda g: (g.difference is None, g.difference or 0.0, g.name))
    half = _MOST_GROUPS // 2
    many = len(groups) > _MOST_GROUPS
    listed = groups[:half] + groups[-half:] if many else groups
    return GroupTable(
        head=svg.scale_row(scale, RATE.tick),
        rows=[_group_row(group, scale) for group in listed],
        measured=any(group.difference is not None for group in groups),
        left_out=len(groups) - _MOST_GROUPS if many else 0,
    )


def _group_row(group: GroupRow, scale: svg.Axis) -> GroupTableRow:
    before, after = group.before, group.after
    return GroupTableRow(
        name=group.name if len(group.name) <= _NAME else group.name[:_NAME] + "…",
        utterances=group.utterances,
        words=group.words,
        before=RATE.figure(before),
        after=RATE.figure(after),
        change=SHARE.signed(group.difference),
        outcome="" if before is None or after is None else svg.outcome(before, after),
        plot=svg.dumbbell(scale, before, after),
    )
