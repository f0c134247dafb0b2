from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from moontune.report.html.loss_curve import curves
from moontune.report.html.svg import Caption, Whisker, axis, change, dumbbell, forest, levels

finite = st.floats(-1e6, 1e6, allow_nan=False).filter(lambda v: v == 0 or abs(v) > 1e-6)


def parse(svg: Markup) -> ET.Element:
    return ET.fromstring(str(svg))


def marks(svg: Markup, name: str, class_: str) -> list[ET.Element]:
    return [e for e in parse(svg).iter(name) if class_ in e.get("class", "").split()]


def percent(value: str | None) -> float:
    assert value is not None
    return float(value.removesuffix("%"))


@given(st.lists(finite, max_size=6), st.booleans())
def test_an_axis_holds_its_values_and_round_ticks(values: list[float], from_zero: bool) -> None:
    values = [abs(v) for v in values] if from_zero else values
    scale = axis(values, floor=0.0 if from_zero else None)
    assert scale.low < scale.high
    assert all(4 <= scale.at(v) <= 96 for v in values)
    assert len(scale.ticks) <= 5
    assert all(scale.low - 1e-6 <= t <= scale.high + 1e-6 for t in scale.ticks)


def test_an_axis_does_not_make_much_of_next_to_nothing() -> None:
    scale = axis([0.2701, 0.2703])
    assert scale.high - scale.low >= 0.1


def level_plot() -> Markup:
    return levels(
        [
            ("base", Whisker(0.27, [0.2, 0.35], "before")),
            ("<tuned & co>", Whisker(0.23, None, "after")),
        ],
        lambda v: f"{100 * v:g} %",
        Caption("Rates", "base 27 %"),
    )


def change_plot(value: float = -0.04) -> Markup:
    whisker = Whisker(value, [-0.09, 0.01], "better", inner=[-0.05, -0.03])
    return change(whisker, str, Caption("Change", "−4"))


TRAIN = [(i, 2.0 - i / 200) for i in range(1, 200)]
VALIDATION = [(0, 1.9), (50, 1.2), (100, 1.0), (200, 1.1)]


def curve_plot(best_step: int | None = 100) -> Markup:
    return curves(TRAIN, VALIDATION, best_step, Caption("Loss", "It falls."))


@pytest.mark.parametrize("svg", [level_plot(), change_plot(), curve_plot()])
def test_a_figure_is_well_formed_and_tells_what_it_shows(svg: Markup) -> None:
    root = parse(svg)
    assert root.get("role") == "img"
    assert root.get("aria-label")
    assert root[0].tag == "title"
    assert root[0].text
    assert root[1].tag == "desc"
    assert root[1].text


@pytest.mark.parametrize(
    "svg", [level_plot(), change_plot(), curve_plot(), dumbbell(axis([0.1, 0.4]), 0.1, 0.4)]
)
def test_colours_are_the_pages_so_that_dark_mode_and_print_work(svg: Markup) -> None:
    assert not re.search(r"#[0-9a-f]{3}|rgb\(|fill=|stroke=|style=", str(svg), re.IGNORECASE)


def test_labels_are_escaped() -> None:
    assert "&lt;tuned &amp; co&gt;" in str(level_plot())


def test_a_dumbbell_goes_from_ring_to_dot() -> None:
    scale = axis([0.1, 0.5])
    for before, after, kind in ((0.4, 0.2, "better"), (0.2, 0.4, "worse"), (0.3, 0.3, "same")):
        svg = dumbbell(scale, before, after)
        (ring,), (dot,) = marks(svg, "circle", "ring"), marks(svg, "circle", "dot")
        assert percent(ring.get("cx")) == pytest.approx(scale.at(before), abs=0.01)
        assert percent(dot.get("cx")) == pytest.approx(scale.at(after), abs=0.01)
        assert kind in dot.get("class", "")
        assert parse(svg).get("aria-hidden") == "true"
    assert not marks(dumbbell(scale, None, 0.2), "circle", "dot")


def test_a_difference_is_drawn_against_zero() -> None:
    svg = change_plot()
    zero = percent(marks(svg, "line", "zero")[0].get("x1"))
    (dot,) = marks(svg, "circle", "dot")
    (interval,) = marks(svg, "line", "interval")
    (inner,) = marks(svg, "line", "inner")
    assert percent(dot.get("cx")) < zero
    assert percent(interval.get("x1")) < percent(dot.get("cx")) < percent(interval.get("x2"))
    assert percent(inner.get("x1")) > percent(interval.get("x1"))
    assert "better" in str(svg)
    assert marks(forest(axis([0.0, 1.0]), Whisker(0.5, [0.2, 0.9], "worse")), "line", "zero")


def test_the_kept_update_is_marked_on_the_validation_curve() -> None:
    svg = curve_plot()
    (line,), (ring,) = marks(svg, "line", "kept"), marks(svg, "circle", "keptring")
    dots = {e.get("cx"): e.get("cy") for e in marks(svg, "circle", "dot")}
    assert line.get("x1") == ring.get("cx")
    assert dots[ring.get("cx")] == ring.get("cy")
    assert "kept: update 100" in str(svg)
    assert not marks(curve_plot(None), "line", "kept")


@pytest.mark.parametrize("kept", [0, 200])
def test_a_kept_update_at_either_end_keeps_its_label_inside(kept: int) -> None:
    (label,) = marks(curve_plot(kept), "text", "keptlabel")
    assert label.get("text-anchor") == ("start" if kept == 0 else "end")


def test_an_outlier_of_training_does_not_flatten_the_curves() -> None:
    wild = [(1, 500.0), *TRAIN[1:]]
    svg = curves(wild, VALIDATION, None, Caption("Loss", ""))
    heights = [float(e.get("cy", "0")) for e in marks(svg, "circle", "dot")]
    assert max(heights) - min(heights) > 50


def test_curves_without_training_losses() -> None:
    assert len(marks(curves([], [(0, 1.0)], 0, Caption("Loss", "")), "circle", "dot")) == 1
