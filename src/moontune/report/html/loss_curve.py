"""Loss curves of a training as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from moontune.report.html.svg import Axis, Caption, axis, figure, pct, rule, tick_labels, write
from moontune.report.html.templating import element

Points = Sequence[tuple[float, float]]
_HEIGHT, _TOP, _BOTTOM = 290, 24, 256  # pixels; the plot lies between top and bottom


@dataclass(frozen=True)
class _Frame:
    """Coordinates of the curves: percent across, pixels down."""

    steps: Axis
    losses: Axis

    def x(self, step: float) -> float:
        return self.steps.at(step)

    def y(self, loss: float) -> float:
        share = (loss - self.losses.low) / (self.losses.high - self.losses.low)
        return round(_BOTTOM - (_BOTTOM - _TOP) * min(max(share, 0.0), 1.0), 2)


def curves(
    training: Points, validation: Points, best_step: float | None, caption: Caption
) -> Markup:
    """Loss over steps: training faint, validation with points, the best step marked."""
    heights = [loss for _, loss in validation] + _usual(training)
    frame = _Frame(
        axis([step for step, _ in (*training, *validation)], floor=0.0, ticks=6, least=10.0),
        axis(heights, floor=0.0, ticks=5, least=0.05),
    )
    marks = [
        *_scales(frame),
        _lines(frame, training, validation),
        *(
            element("circle", cx=pct(frame.x(step)), cy=frame.y(loss), r=3, class_="dot after")
            for step, loss in validation
        ),
        *_best(frame, validation, best_step),
    ]
    return figure(marks, _HEIGHT, caption)


def _scales(frame: _Frame) -> list[Markup]:
    marks = []
    for tick in frame.losses.ticks:
        marks.append(rule(0, frame.y(tick), 100, frame.y(tick), "grid"))
        marks.append(write(0, frame.y(tick) - 4, f"{tick:g}", "tick", "start"))
    marks += tick_labels(frame.steps, _BOTTOM + 18, lambda step: f"{step:,.0f}")
    return [*marks, write(100, _BOTTOM + 33, "updates", "tick", "end")]


def _lines(frame: _Frame, training: Points, validation: Points) -> Markup:
    """Polylines take no percentages, so they are stretched across; their strokes are not."""
    lines = [
        element(
            "polyline",
            points=" ".join(f"{frame.x(step):.2f},{frame.y(loss)}" for step, loss in points),
            class_=f"curve {kind}",
            vector_effect="non-scaling-stroke",
        )
        for points, kind in ((training, "train"), (validation, "validation"))
    ]
    return element(
        "svg",
        Markup("").join(lines),
        width="100%",
        height=_HEIGHT,
        viewBox=f"0 0 100 {_HEIGHT}",
        preserveAspectRatio="none",
    )


def _usual(points: Points) -> list[float]:
    """Heights of most points: an outlier of the first updates does not flatten the curves."""
    heights = sorted(loss for _, loss in points)
    return heights[: math.ceil(0.98 * len(heights))]


def _best(frame: _Frame, validation: Points, best_step: float | None) -> list[Markup]:
    if best_step is None:
        return []
    x = frame.x(best_step)
    anchor = "end" if x > 75 else "start" if x < 25 else "middle"
    marks = [
        rule(x, _TOP - 6, x, _BOTTOM, "kept"),
        write(x, _TOP - 11, f"kept: update {best_step:,}", "label keptlabel", anchor),
    ]
    for step, loss in validation:
        if step == best_step:
            marks.append(element("circle", cx=pct(x), cy=frame.y(loss), r=7, class_="keptring"))
    return marks
