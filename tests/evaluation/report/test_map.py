"""The map: footprints in their places, coloured by their mean score."""

from __future__ import annotations

import re

from geoprose.evaluation.report.files import ScoreRow
from geoprose.evaluation.report.map import colour_of, correctness_map

ROWS = [ScoreRow("1", "a", 1.0, True), ScoreRow("2", "a", 0.0, True), ScoreRow("3", "b", 0.0, True)]


def test_the_world_is_shown_for_far_footprints() -> None:
    drawings = {"1": {"footprints": {"x": [-180, 80, -170, 84]}}, "2": {"footprints": {"<y>": [170, -60, 180, -56]}}}
    drawn = str(correctness_map(ROWS, drawings, {"a"}, None))
    assert 'viewBox="0 0 1080 432"' in drawn
    first, second = re.findall(r'<rect fill="(#\w+)" class="foot" x="([\d.]+)" y="([\d.]+)"', drawn)
    assert {first, second} == {(colour_of(1.0), "0", "0"), (colour_of(0.0), "1050", "420")}
    assert "&lt;y&gt;: 0 over 1 questions" in drawn


def test_close_footprints_fill_the_map() -> None:
    drawings = {"1": {"footprints": {"x": [10, 45, 10.1, 45.1]}}, "3": {"footprints": {"x": [-100, 0, -99, 1]}}}
    drawn = str(correctness_map(ROWS, drawings, {"a"}, None))
    assert drawn.count('class="foot"') == 1  # type b is not in the overall figure
    size = re.search(r'class="foot" x="[\d.]+" y="[\d.]+" width="([\d.]+)" height="([\d.]+)"', drawn)
    assert size is not None
    width, height = map(float, size.groups())
    assert width > 300
    assert height > 400


def test_no_georeference_no_map() -> None:
    assert correctness_map(ROWS, {}, {"a", "b"}, None) is None


def test_colours_are_clipped() -> None:
    assert colour_of(-1) == colour_of(0) == "#c52932"
    assert colour_of(2) == colour_of(1) == "#2b64b4"
    assert colour_of(0.5) == "#faf0aa"
