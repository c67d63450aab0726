"""IoU by hand, its properties, and how far each published "+ 1" moves it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoprose.answers.iou import (
    IouKind,
    Outline,
    area,
    iou,
    iou_table,
    outline_of,
    overlap_tables,
    polygons,
    union_iou,
)
from geoprose.core.errors import ConfigError
from geoprose.core.types import Box

SIDES = st.floats(0.5, 300, allow_nan=False)
PLACES = st.floats(-100, 400, allow_nan=False)


@st.composite
def boxes(draw: st.DrawFn, is_rotated: bool = False) -> Box:
    x, y = draw(PLACES), draw(PLACES)
    angle = draw(st.floats(-90, 90)) if is_rotated else 0.0
    return Box(x, y, x + draw(SIDES), y + draw(SIDES), angle)


def test_by_hand_without_plus_one() -> None:
    assert iou(Box(0, 0, 2, 2), Box(1, 1, 3, 3)) == pytest.approx(1 / 7)
    assert iou(Box(0, 0, 1, 1), Box(1, 0, 2, 1)) == 0.0  # they touch; with "+ 1" they would not score 0
    assert iou(Box(0.1, 0.1, 0.2, 0.2), Box(0.5, 0.5, 0.9, 0.9)) == 0.0
    assert iou(Box(0, 0, 0, 0), Box(0, 0, 0, 0)) == 0.0


def test_rotated_boxes() -> None:
    square, diamond = Box(0, 0, 2, 2), Box(0, 0, 2, 2, angle_deg=45)
    octagon = 8 * (math.sqrt(2) - 1)  # area common to a square of side 2 and itself turned by 45 degrees
    assert iou(square, diamond) == pytest.approx(octagon / (8 - octagon))
    assert iou(Box(0, 0, 4, 2, 90), Box(1, -1, 3, 3)) == pytest.approx(1.0)
    assert iou(Box(0, 0, 6, 2, 30), Box(0, 0, 6, 2, -30)) < 0.7  # the sense of the turn matters


def test_corners_in_a_crossing_order_become_their_hull() -> None:
    crossed = Outline((0, 0, 2, 2), (0, 0, 2, 2, 2, 0, 0, 2))
    assert area(crossed) == pytest.approx(4.0)
    assert polygons([crossed])[0].is_valid


@settings(max_examples=60, deadline=None)
@given(boxes(is_rotated=True), boxes(is_rotated=True))
def test_symmetric_and_between_0_and_1(first: Box, second: Box) -> None:
    forth, back = iou(first, second), iou(second, first)
    assert forth == pytest.approx(back, abs=1e-9)
    assert -1e-9 <= forth <= 1 + 1e-9
    assert iou(first, first) == pytest.approx(1.0)


@settings(max_examples=60, deadline=None)
@given(boxes(is_rotated=True), boxes(is_rotated=True), st.floats(-50, 50), st.floats(0.1, 10))
def test_invariant_to_shift_and_scale(first: Box, second: Box, shift: float, scale: float) -> None:
    def moved(box: Box) -> Box:
        sides = ((side + shift) * scale for side in (box.x_min, box.y_min, box.x_max, box.y_max))
        return Box(*sides, box.angle_deg)

    assert iou(moved(first), moved(second)) == pytest.approx(iou(first, second), abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(boxes(), boxes())
def test_polygon_clipping_equals_box_arithmetic(first: Box, second: Box) -> None:
    as_polygons = [
        Outline(flat, (flat[0], flat[1], flat[2], flat[1], flat[2], flat[3], flat[0], flat[3]))
        for flat in (outline_of(first).flat, outline_of(second).flat)
    ]
    assert iou_table(as_polygons[:1], as_polygons[1:])[0, 0] == pytest.approx(iou(first, second), abs=1e-9)
    assert union_iou(as_polygons[:1], as_polygons[1:]) == pytest.approx(iou(first, second), abs=1e-9)


def _table(first: Box, second: Box, kind: IouKind, size: tuple[float, float] = (1.0, 1.0)) -> float:
    return float(iou_table([outline_of(first)], [outline_of(second)], kind, size)[0, 0])


def test_plus_one_by_hand() -> None:
    # inclusive pixels 0..9 against 5..14: 10 x 10 each, 5 x 5 shared
    assert _table(Box(0, 0, 9, 9), Box(5, 5, 14, 14), "plus_one_pixels") == pytest.approx(25 / 175)
    # the grid is the picture's: halves of a 200 px picture are 50 of 100
    assert _table(Box(0, 0, 100, 200), Box(0, 0, 200, 200), "plus_one_100", (200, 200)) == pytest.approx(51 / 101)
    assert _table(Box(0, 0, 100, 200), Box(0, 0, 200, 200), "plus_one_unit", (200, 200)) == pytest.approx(3 / 4)


@settings(max_examples=40, deadline=None)
@given(boxes(), boxes())
def test_plus_one_converges_to_continuous_for_large_boxes(first: Box, second: Box) -> None:
    def grown(box: Box, by: float) -> Box:
        return Box(box.x_min * by, box.y_min * by, box.x_max * by, box.y_max * by)

    errors = [
        abs(_table(grown(first, by), grown(second, by), "plus_one_pixels") - iou(first, second)) for by in (1e2, 1e5)
    ]
    assert errors[1] <= 1e-3
    assert errors[1] <= errors[0] + 1e-9


@settings(max_examples=60, deadline=None)
@given(boxes(), boxes())
def test_plus_one_never_lowers_the_iou_of_boxes_that_meet_in_an_inner_one(outer: Box, inner: Box) -> None:
    """A box inside another one always gains: (a+1)(b+1)/((A+1)(B+1)) >= ab/(AB)."""
    inside = Box(
        outer.x_min,
        outer.y_min,
        min(outer.x_max, outer.x_min + inner.x_max - inner.x_min),
        min(outer.y_max, outer.y_min + inner.y_max - inner.y_min),
    )
    assert _table(inside, outer, "plus_one_pixels") >= iou(inside, outer) - 1e-12


def _random_matches(kind: IouKind, size: float = 1.0, count: int = 6000) -> float:
    """Share of pairs of random boxes with IoU over 0.5; sides of 5 to 20 % of the picture, anywhere in it."""
    rng = np.random.default_rng(0)
    sides = rng.uniform(0.05, 0.2, (2, count, 2))
    lows = rng.random((2, count, 2)) * (1 - sides)
    flats = (np.concatenate([lows, lows + sides], axis=2) * size).tolist()
    firsts, seconds = ([Outline(tuple(flat)) for flat in one] for one in flats)
    tables = (iou_table([a], [b], kind, (size, size)) for a, b in zip(firsts, seconds, strict=True))
    return sum(float(table[0, 0]) > 0.5 for table in tables) / count


def test_plus_one_on_the_unit_grid_lets_random_boxes_match() -> None:
    """Why a published 85 % became 12 % once the formula was corrected; docs/footguns.md prints these figures."""
    assert 0.27 < _random_matches("plus_one_unit") < 0.32
    assert _random_matches("continuous") < 0.004
    assert _random_matches("plus_one_100") < 0.005
    assert _random_matches("plus_one_unit", size=512.0) == _random_matches("plus_one_unit")  # the grid, not the pixels


def test_unknown_kind() -> None:
    with pytest.raises(ConfigError, match="Known: continuous"):
        overlap_tables([], [], "plus_two")  # type: ignore[arg-type]


def test_an_empty_side_gives_an_empty_table() -> None:
    assert iou_table([], [Outline((0, 0, 1, 1))]).shape == (0, 1)
    assert iou_table([Outline((0, 0, 1, 1))], []).shape == (1, 0)
