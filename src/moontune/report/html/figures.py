"""A comparison's figures as the page shows them: written numbers and their svg."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from moontune.evaluation.measures import Comparison, GroupRow, Measure
from moontune.report.html import svg
from moontune.report.html.templating import FIXED_SPACE

_TITLES = {
    "wer": "Word error rate",
    "cer": "Character error rate",
    "loss": "Loss",
    "loss_words": "words",
    "loss_typography": "case and punctuation",
}
_NAME = 40  # characters of a speaker's name
_MOST_GROUPS = 60  # more rows nobody reads
_OUTCOMES = {"better": "Better", "worse": "Worse", "undecided": "Undecided"}


@dataclass(frozen=True)
class Unit:
    """How a measure's figures are written."""

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
    """One measure: its figures, what they mean, and the two svg."""

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


def measure_cards(comparison: Comparison, labels: tuple[str, str]) -> list[Card]:
    """WER, CER and loss, as far as they were measured."""
    measures = comparison.measures
    return [
        _card(name, measures[name], labels)
        for name in ("wer", "cer", "loss")
        if measures.get(name) is not None
    ]


def _card(name: str, m: Measure, labels: tuple[str, str]) -> Card:
    unit = NATS if name == "loss" else RATE
    title = _TITLES[name]
    found = m.outcome or ""
    same = m.same_speakers
    return Card(
        title=title,
        unit="nats per target token" if name == "loss" else "",
        before=unit.figure(m.before),
        after=unit.figure(m.after),
        change=unit.change(m.difference),
        relative="" if m.relative is None else SHARE.change(m.relative),
        interval=unit.interval(m.difference_interval),
        same_speakers=unit.interval(same.difference_interval) if same else "",
        outcome=found,
        outcome_text=_OUTCOMES.get(found, "Change"),
        sure=_sure(m),
        levels=_levels(title, m, unit, labels),
        difference=_difference(title, m, unit),
    )


def _sure(m: Measure) -> str:
    """How sure the sign is, and what would settle it."""
    chance = m.probability_better
    if chance is None or not any((m.difference, *(m.difference_interval or ()))):
        return ""
    share = "more than 99.9" if chance > 0.999 else "less than 0.1" if chance < 0.001 else None
    text = f"Better with a probability of {share or f'{100 * chance:.1f}'} %"
    if m.outcome == "undecided" and m.utterances_needed:
        text += f"; about {m.utterances_needed:,} clips would tell"
    return text


def _levels(title: str, m: Measure, unit: Unit, labels: tuple[str, str]) -> Markup | None:
    if m.before is None or m.after is None:
        return None
    rows = [
        (label, svg.Whisker(getattr(m, side), getattr(m, f"{side}_interval"), side))
        for label, side in zip(labels, ("before", "after"), strict=True)
    ]
    text = "; ".join(
        f"{label} {unit.figure(w.value)}"
        + (f" ({' to '.join(map(unit.figure, w.interval))})" if w.interval else "")
        for label, w in rows
    )
    return svg.levels(rows, unit.tick, svg.Caption(f"{title} with 95 % intervals", text + "."))


def _difference(title: str, m: Measure, unit: Unit) -> Markup | None:
    if m.difference is None:
        return None
    same = m.same_speakers
    text = f"{unit.change(m.difference)}, interval {unit.interval(m.difference_interval)}."
    caption = svg.Caption(f"Paired difference in {title.lower()}, left of zero is better", text)
    whisker = _whisker(m, same.difference_interval if same else None)
    return svg.change(whisker, unit.change_tick, caption)


def _whisker(m: Measure, inner: Sequence[float] | None = None) -> svg.Whisker:
    """The difference in a measure."""
    return svg.Whisker(m.difference, m.difference_interval, m.outcome or "undecided", inner)


def loss_parts(comparison: Comparison) -> dict[str, Any] | None:
    """The loss split into words and typography, as a table with a plot in it."""
    found = comparison.measures
    names = [n for n in ("loss_words", "loss_typography") if found.get(n)]
    measured = [n for n in names if found[n].difference is not None]
    if not measured:
        return None
    whole = [n for n in ("loss",) if found.get(n) and found[n].difference is not None]
    rows = [(n, found[n]) for n in [*measured, *whole]]
    ends = [v for _, m in rows for v in (m.difference, *(m.difference_interval or ()))]
    scale = svg.axis([0.0, *ends], ticks=3, least=0.01)
    return {
        "head": svg.scale_row(scale, NATS.change_tick),
        "rows": [
            {
                "name": _TITLES[n] if n != "loss" else "together",
                "before": NATS.figure(m.before),
                "after": NATS.figure(m.after),
                "change": NATS.change(m.difference),
                "interval": NATS.interval(m.difference_interval),
                "outcome": m.outcome or "",
                "plot": svg.forest(scale, _whisker(m)),
            }
            for n, m in rows
        ],
    }


def group_table(groups: list[GroupRow], *, by_change: bool) -> dict[str, Any] | None:
    """WER of each group from before to after; `by_change` puts the largest gain first. Of very
    many groups, the best and the worst."""
    if not groups:
        return None
    rates = [rate for g in groups for rate in (g.before, g.after)]
    scale = svg.axis([0.0, *rates], floor=0.0)
    if by_change:
        groups = sorted(groups, key=lambda g: (g.difference is None, g.difference or 0.0, g.name))
    many = len(groups) > _MOST_GROUPS
    half = _MOST_GROUPS // 2
    return {
        "head": svg.scale_row(scale, RATE.tick),
        "measured": any(g.difference is not None for g in groups),
        "left_out": len(groups) - _MOST_GROUPS if many else 0,
        "rows": [
            {
                **vars(g),
                "name": g.name if len(g.name) <= _NAME else g.name[:_NAME] + "…",
                "before": RATE.figure(g.before),
                "after": RATE.figure(g.after),
                "change": SHARE.signed(g.difference),
                "outcome": _outcome(g),
                "plot": svg.dumbbell(scale, g.before, g.after),
            }
            for g in (groups[:half] + groups[-half:] if many else groups)
        ],
    }


def _outcome(group: GroupRow) -> str:
    if group.before is None or group.after is None:
        return ""
    return svg.outcome(group.before, group.after)
