"""Confidences of words held against what is right, as inline SVG."""

from __future__ import annotations

from markupsafe import Markup

from moontune.evaluation.confidence.reliability import ReliabilityBin, WordConfidence
from moontune.languages.table import current
from moontune.report.confidence import tenth
from moontune.report.html.svg import Caption, figure, pct, rule, write
from moontune.report.html.templating import element

_HEIGHT, _TOP, _BOTTOM = 286, 10, 244  # pixels; the plot lies between top and bottom
_LEFT, _RIGHT = 13.0, 97.0  # percent
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)
_RADII = (3.0, 4.5, 6.0)  # pixels: of up to 5 %, up to 25 %, and more of the words


def reliability_picture(found: WordConfidence) -> Markup:
    """Share of right words over mean confidence, a dot with its interval for each tenth; on the
    dashed line the two are one."""
    marks = [*_scales(), rule(_x(0), _y(0), _x(1), _y(1), "zero")]
    for one in found.test.bins:
        low, high = map(_y, one.interval)
        marks.append(rule(_x(one.predicted), low, _x(one.predicted), high, "interval after"))
        marks.append(_dot(one, found.test.words))
    units = f"{current().unit}s"
    text = " ".join(
        f"Of {one.words:,} {units} called {tenth(one.predicted)} sure, {tenth(one.observed)} are "
        "right."
        for one in found.test.bins
    )
    return figure(
        marks,
        _HEIGHT,
        Caption(f"{current().unit.capitalize()}s that are right, by confidence", text),
    )


def _dot(one: ReliabilityBin, words: int) -> Markup:
    share = one.words / words
    radius = _RADII[(share > 0.05) + (share > 0.25)]
    x, y = pct(_x(one.predicted)), _y(one.observed)
    return element("circle", cx=x, cy=y, r=radius, class_="dot after")


def _scales() -> list[Markup]:
    marks = []
    for tick in _TICKS:
        label = f"{100 * tick:.0f} %"
        marks.append(rule(_LEFT, _y(tick), _RIGHT, _y(tick), "grid"))
        marks.append(write(_LEFT - 1.5, _y(tick) + 4, label, "tick", "end"))
        marks.append(write(_x(tick), _BOTTOM + 18, label, "tick"))
    return [*marks, write(_RIGHT, _BOTTOM + 34, "confidence", "tick", "end")]


def _x(confidence: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * confidence


def _y(share: float) -> float:
    return round(_BOTTOM - (_BOTTOM - _TOP) * share, 2)
