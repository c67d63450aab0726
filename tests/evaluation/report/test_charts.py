"""Charts: round ticks, points in their places, nothing unescaped."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from geoprose.evaluation.report.charts import Axis, curve_chart, reliability_chart, tag

HOSTILE = "<img onerror=alert(1)>"


def test_a_tag_escapes_texts_and_attributes() -> None:
    assert tag("text", "a < b", title='"x"', class_="k", text_anchor="end") == (
        '<text title="&#34;x&#34;" class="k" text-anchor="end">a &lt; b</text>'
    )


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_inside_and_few(low: float, width: float) -> None:
    ticks = Axis(low, low + width, 0, 100).ticks()
    assert 2 <= len(ticks) <= 12
    assert all(low - 1e-6 * width <= tick <= low + width + 1e-6 * width for tick in ticks)


def test_places_run_along_the_axis() -> None:
    axis = Axis(0, 10, 50, 150)
    assert (axis.at(0), axis.at(5), axis.at(10)) == (50, 100, 150)
    assert axis.ticks() == [0, 2, 4, 6, 8, 10]


def test_a_curve_is_drawn_in_order_and_named() -> None:
    drawn = curve_chart("t", {HOSTILE: [(4, 0.1), (1, 0.9)], "b": [(1, 0.5), (2, float("nan"))]}, ("x", "y"))
    assert HOSTILE not in drawn
    assert "&lt;img onerror" in drawn
    lines = re.findall(r'points="([^"]+)"', drawn)
    assert len(lines) == 2
    xs = [float(point.split(",")[0]) for point in lines[0].split()]
    assert xs == sorted(xs)
    assert len(lines[1].split()) == 1  # the point that is no number is left out
    assert "no finite value" in curve_chart("t", {"a": []}, ("x", "y"))


def test_bars_of_a_reliability_diagram_are_as_high_as_the_accuracy() -> None:
    bins = [
        {"low": 0.0, "high": 0.5, "n": 0, "confidence": 0.0, "accuracy": 0.0},
        {"low": 0.5, "high": 1.0, "n": 3, "confidence": 0.8, "accuracy": 1.0},
    ]
    drawn = reliability_chart("t", bins)
    assert drawn.count("<rect") == 1  # an empty bin is no bar
    (bar,) = re.findall(r"<rect [^>]*>", drawn)
    top, height = (float(re.search(rf' {key}="([\d.]+)"', bar)[1]) for key in ("y", "height"))  # type: ignore[index]
    assert top == 12
    assert top + height == 300 - 44
    assert "3 answers with confidence 0.80: 100 % right" in drawn
