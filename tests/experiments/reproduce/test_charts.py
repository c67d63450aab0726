from __future__ import annotations

from geoprose.experiments.reproduce.charts import interval_chart
from geoprose.experiments.reproduce.score_table import Interval


def test_every_row_is_drawn_inside_the_frame() -> None:
    rows = {"a <i>": Interval(0.5, 0.4, 0.6, (0.45, 0.55)), "b": Interval(0.1, -0.2, 0.3)}
    drawing = str(interval_chart("Title", rows, "points", zero=True))
    assert "a &lt;i&gt;" in drawing
    assert "<i>" not in drawing
    assert drawing.count('class="series s0"') == 2
    assert drawing.count('class="series s1"') == 2
    assert drawing.count('class="diagonal"') == 1
    assert "a &lt;i&gt;: 50.0 (40.0 to 60.0)" in drawing


def test_one_value_alone_can_be_drawn() -> None:
    assert "<svg" in interval_chart("Title", {"a": Interval(0.5, 0.5, 0.5, (0.5,))}, "x")


def test_no_row_is_a_sentence() -> None:
    assert "<svg" not in interval_chart("Title", {}, "x")
