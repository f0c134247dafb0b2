"""Plots as inline SVG that fits any width: percent across, pixels down.

Text keeps its size on a phone because nothing is scaled by a viewBox. Colours are CSS classes of
the page (`before`, `after`, `better`, `worse`), so dark mode and print need no second drawing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from moontune.report.html.templating import element

Interval = Sequence[float]  # low and high
Format = Callable[[float], str]
_MARGIN = 4.0  # percent left free at either end, where the labels of outer ticks need it


@dataclass(frozen=True)
class Axis:
    """A linear axis across the width of a plot."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def at(self, value: float) -> float:
        """Percent of the width; values beyond the axis sit on its end."""
        share = (value - self.low) / (self.high - self.low)
        return _MARGIN + (100 - 2 * _MARGIN) * min(max(share, 0.0), 1.0)


def axis(
    values: Iterable[float | None],
    *,
    floor: float | None = None,
    ticks: int = 4,
    least: float = 0.1,
) -> Axis:
    """An axis around finite values with a little air, at least `least` wide, so that next to
    nothing does not look like much. No value may be below `floor`, where the axis ends."""
    known = [v for v in values if v is not None and math.isfinite(v)] or [0.0]
    low, high = min(known), max(known)
    lacking = max(0.0, least - (high - low))
    low, high = low - lacking / 2, high + lacking / 2
    air = 0.08 * (high - low)
    low, high = low - air, high + air
    if floor is not None:
        low = max(low, floor)
    return Axis(low, high, _round_values(low, high, ticks))


def _round_values(low: float, high: float, count: int) -> tuple[float, ...]:
    """At most `count` + 1 round values between two ends."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step), math.floor(high / step)
    return tuple(i * step for i in range(first, last + 1))


@dataclass(frozen=True)
class Caption:
    """The title of a plot, and in words what it shows, for those who cannot see it."""

    title: str
    text: str


def figure(marks: Iterable[Markup], height: int, caption: Caption) -> Markup:
    """A plot with its caption, which screen readers read."""
    words = element("title", caption.title) + element("desc", caption.text)
    return element(
        "svg",
        words + Markup("").join(marks),
        role="img",
        aria_label=f"{caption.title}. {caption.text}",
        class_="plot",
        width="100%",
        height=height,
    )


def ornament(marks: Iterable[Markup], height: int) -> Markup:
    """Marks inside a table row whose cells hold the same figures: hidden from screen readers."""
    return element(
        "svg",
        Markup("").join(marks),
        aria_hidden="true",
        focusable="false",
        class_="plot",
        width="100%",
        height=height,
    )


def pct(value: float) -> str:
    return f"{value:.2f}%"


def rule(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    return element("line", x1=pct(x1), y1=y1, x2=pct(x2), y2=y2, class_=class_)


def write(x: float, y: float, text: str, class_: str = "", anchor: str = "middle") -> Markup:
    return element("text", text, x=pct(x), y=y, text_anchor=anchor, class_=class_)


def grid(scale: Axis, top: float, bottom: float) -> list[Markup]:
    """Upright lines at the ticks; the one at zero is stronger."""
    return [
        rule(scale.at(t), top, scale.at(t), bottom, "zero" if t == 0 else "grid")
        for t in scale.ticks
    ]


def tick_labels(scale: Axis, y: float, show: Format) -> list[Markup]:
    return [write(scale.at(t), y, show(t), "tick") for t in scale.ticks]


@dataclass(frozen=True)
class Whisker:
    """A value with its interval; `inner`, a narrower claim, lies within as a band."""

    value: float | None
    interval: Interval | None
    kind: str  # class of its marks: before | after | better | worse | undecided
    inner: Interval | None = None


def _whisker_marks(scale: Axis, whisker: Whisker, y: float) -> list[Markup]:
    marks, kind = [], whisker.kind
    if whisker.inner is not None:
        low, high = scale.at(whisker.inner[0]), scale.at(whisker.inner[1])
        marks.append(rule(low, y, high, y, f"inner {kind}"))
    if whisker.interval is not None:
        low, high = scale.at(whisker.interval[0]), scale.at(whisker.interval[1])
        marks.append(rule(low, y, high, y, f"interval {kind}"))
        marks += [rule(x, y - 4, x, y + 4, f"cap {kind}") for x in (low, high)]
    if whisker.value is not None:
        x = pct(scale.at(whisker.value))
        marks.append(element("circle", cx=x, cy=y, r=5, class_=f"dot {kind}"))
    return marks


def levels(
    rows: Sequence[tuple[str, Whisker]],
    show: Format,
    caption: Caption,
    beside: Sequence[float | None] = (),
) -> Markup:
    """Labelled values with their intervals, one below the other on one axis, which also has room
    for the values of plots `beside` it."""
    ends = [*beside, *(end for _, w in rows for end in (w.value, *(w.interval or ())))]
    scale = axis([0.0, *ends], floor=0.0, least=0.02)  # from zero, as every other beside it
    bottom = 34 * len(rows) + 4
    marks = grid(scale, 0, bottom)
    for i, (label, whisker) in enumerate(rows):
        if whisker.value is not None:
            x = min(max(scale.at(whisker.value), 12), 88)
            marks.append(write(x, 34 * i + 13, label, f"label {whisker.kind}"))
        marks += _whisker_marks(scale, whisker, 34 * i + 24)
    return figure([*marks, *tick_labels(scale, bottom + 14, show)], bottom + 18, caption)


def change(
    whisker: Whisker, show: Format, caption: Caption, beside: Sequence[float | None] = ()
) -> Markup:
    """A paired difference with its interval against zero, on an axis as of `levels`."""
    ends = (*beside, *(whisker.interval or ()), *(whisker.inner or ()))
    scale = axis([0.0, whisker.value, *ends], least=0.01)
    zero = scale.at(0.0)
    marks = [*grid(scale, 0, 36), rule(zero, 0, zero, 36, "zero")]
    if zero > 22:
        marks.append(write(zero - 2, 9, "← better", "side", "end"))
    if zero < 78:
        marks.append(write(zero + 2, 9, "worse →", "side", "start"))
    marks += [*_whisker_marks(scale, whisker, 24), *tick_labels(scale, 50, show)]
    return figure(marks, 54, caption)


def scale_row(scale: Axis, show: Format) -> Markup:
    """The axis labels to stand in the head of a table whose rows are plots; a narrow page may
    leave out every second one (`between`)."""
    labels = [
        write(scale.at(t), 12, show(t), "tick between" if i % 2 else "tick")
        for i, t in enumerate(scale.ticks)
    ]
    return ornament([*labels, *grid(scale, 16, 20)], 20)


def dumbbell(scale: Axis, before: float | None, after: float | None) -> Markup:
    """From a ring (before) to a dot (after), on the axis of its table."""
    marks = grid(scale, 0, 26)
    if before is not None and after is not None:
        kind = outcome(before, after)
        marks.append(rule(scale.at(before), 13, scale.at(after), 13, f"bar {kind}"))
        marks.append(element("circle", cx=pct(scale.at(before)), cy=13, r=5, class_="ring"))
        marks.append(element("circle", cx=pct(scale.at(after)), cy=13, r=5, class_=f"dot {kind}"))
    return ornament(marks, 26)


def point(scale: Axis, value: float, kind: str) -> Markup:
    """A value on the axis of its table; `kind` is the class of its mark."""
    mark = element("circle", cx=pct(scale.at(value)), cy=13, r=5, class_=kind)
    return ornament([*grid(scale, 0, 26), mark], 26)


def outcome(before: float, after: float) -> str:
    """Class of a mark: less is better."""
    return "same" if before == after else "better" if after < before else "worse"


def forest(scale: Axis, whisker: Whisker) -> Markup:
    """A difference with its interval, on the axis of its table."""
    marks = [*grid(scale, 0, 26), rule(scale.at(0.0), 0, scale.at(0.0), 26, "zero")]
    return ornament([*marks, *_whisker_marks(scale, whisker, 13)], 26)
