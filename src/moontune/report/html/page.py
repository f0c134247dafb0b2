"""A run, or two runs compared, as one HTML page that needs nothing else.

Layout and words are in `templates/report.html.j2`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from moontune.report.html.changed_clips import changed_clips
from moontune.report.html.figures import group_table, loss_parts, measure_cards
from moontune.report.html.loss_curve import curves
from moontune.report.html.templating import templates
from moontune.report.provenance import Section

_SHORT = 14  # characters of a name that fits into a plot
_CURVE_POINTS = 50


@dataclass(frozen=True)
class Page:
    """Everything that stands on the page; `comparison` is what `comparison.compare` returns."""

    kind: str  # what stands above the title
    title: str
    accepted: bool | None  # None: there is nothing to accept
    sentence: str
    cautions: list[str]
    names: tuple[str, str]
    comparison: dict[str, Any]
    general: dict[str, Any] | None  # {"origin": {...}, "comparison": {...}}
    general_note: str | None  # why there is no general check
    checks: list[dict[str, Any]]
    predictions: tuple[list[dict[str, Any]], list[dict[str, Any]]]
    audio: dict[str, Path]
    train_log: list[dict[str, Any]]
    kept_step: int | None
    facts: list[Section] = field(default_factory=list)


def render_page(page: Page, clips: int) -> str:
    """The page as HTML, with the audio of at most `clips` clips inside."""
    labels = short_names(page.names)
    c = page.comparison
    values = {
        "page": page,
        "labels": labels,
        "c": c,
        "cards": measure_cards(c, labels),
        "parts_of_loss": loss_parts(c),
        "errors": word_errors(c),
        "speakers": group_table(c["by_speaker"], by_change=True),
        "durations": group_table(c["by_duration"], by_change=False),
        "clips": changed_clips(*page.predictions, page.audio, clips),
        "general_cards": measure_cards(page.general["comparison"], labels) if page.general else [],
        "curves": training_curves(page.train_log, page.kept_step),
    }
    return templates(__package__).get_template("report.html.j2").render(values)


def word_errors(comparison: dict[str, Any]) -> list[tuple[str, int, int]]:
    """Kinds of errors with their numbers before and after."""
    edits, cut = comparison["edits"], comparison["truncated"]
    kinds = ("substitutions", "deletions", "insertions")
    rows = [(kind, edits["before"][kind], edits["after"][kind]) for kind in kinds]
    return [*rows, ("transcripts cut by the token cap", cut["before"], cut["after"])]


def short_names(names: tuple[str, str]) -> tuple[str, str]:
    """Names that fit into plots and columns: A and B where one of them does not."""
    return names if max(map(len, names)) <= _SHORT else ("A", "B")


def training_curves(log: list[dict[str, Any]], kept: int | None) -> Markup | None:
    """Training and validation loss over updates; None if nothing was validated."""
    train = _points(log, "update", "loss")
    validation = _points(log, "validation", "val_loss")
    if not validation:
        return None
    text = f"Validation loss goes from {validation[0][1]:.3f} to {validation[-1][1]:.3f}."
    at_kept = dict(validation).get(kept) if kept is not None else None
    if at_kept is not None:
        text += f" The adapter of update {kept} is kept, at {at_kept:.3f}."
    return curves(_thinned(train), validation, kept, "Loss during training", text)


def _points(log: list[dict[str, Any]], event: str, key: str) -> list[tuple[float, float]]:
    rows = [(e["step"], e.get(key)) for e in log if e["event"] == event]
    return [(step, v) for step, v in rows if v is not None and math.isfinite(v)]


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Means of neighbours, so that a long run draws as fast as a short one."""
    size = max(1, math.ceil(len(points) / _CURVE_POINTS))
    parts = [points[i : i + size] for i in range(0, len(points), size)]
    return [(sum(x for x, _ in p) / len(p), sum(y for _, y in p) / len(p)) for p in parts]
