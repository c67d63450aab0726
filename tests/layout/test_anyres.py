"""AnyRes: the choice of the grid equals transformers', the tiles cover the fitted picture, the counts add up."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.image_processing_utils import select_best_resolution as published_choice

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.layout.anyres import (
    LLAVA_NEXT_GRIDS,
    AnyresResolution,
    LlavaNextArrangement,
    select_best_resolution,
    token_side,
    unpadded_grid,
)
from geoprose.layout.onevision import OnevisionArrangement, OnevisionResolution, shrunk_grid
from geoprose.layout.resolutions import RESOLUTIONS
from geoprose.layout.visual import VisualLayout

sides = st.integers(1, 5000)
grids = st.sampled_from([LLAVA_NEXT_GRIDS, OnevisionResolution(1).grids])


@settings(max_examples=400, deadline=None)
@given(sides, sides, st.sampled_from([14, 75, 336, 384]), grids)
def test_choice_equals_transformers(width_px, height_px, side_px, grids):
    candidates = [(rows * side_px, columns * side_px) for rows, columns in grids]
    size = (height_px, width_px)
    assert select_best_resolution(size, candidates) == published_choice(size, candidates)


def test_choice_equals_transformers_at_ties():
    candidates = [(rows * 384, columns * 384) for rows, columns in OnevisionResolution(1).grids]
    for height in range(1, 25):
        for width in range(1, 25):
            size = (height * 96, width * 96)
            assert select_best_resolution(size, candidates) == published_choice(size, candidates)


@settings(max_examples=100, deadline=None)
@given(st.integers(20, 3000), st.integers(20, 3000), st.sampled_from(["anyres", "onevision"]))
def test_tiles_share_the_fitted_picture(width_px, height_px, name):
    plan = RESOLUTIONS.get(name)(image_size=336).plan(width_px, height_px)
    layout, (base, *tiles) = plan.layout, plan.tiles
    assert layout.num_tiles == len(plan.tiles) == 1 + layout.rows * layout.columns
    assert (layout.height_px, layout.width_px) == (height_px, width_px)
    assert base == plan.whole
    assert base.to_model(width_px, height_px) == pytest.approx((336, 336))
    # The middle of the picture is the middle of the canvas, up to the pixel of an odd rim; seen from the first tile.
    x, y = tiles[0].to_model(width_px / 2, height_px / 2)
    assert abs(x - layout.columns * 168) <= 0.51
    assert abs(y - layout.rows * 168) <= 0.51
    for index, tile in enumerate(tiles):
        row, column = divmod(index, layout.columns)
        assert tile.to_model(width_px / 2, height_px / 2) == pytest.approx((x - column * 336, y - row * 336))
        assert tile.to_original(*tile.to_model(3.0, 5.0)) == pytest.approx((3.0, 5.0))


@pytest.mark.parametrize(
    ("size", "tokens"),
    [
        ((672, 672), 576 + 48 * 49),  # the square fills 2 x 2 tiles
        ((1000, 300), 576 + 14 * 73),  # three columns of tiles; 24 * 300 / 1000 * 3 = 21.6 rows stay of 24, less twice
        ((336, 336), 576 + 24 * 25),  # a small square: one row of two tiles, the 24 columns in the middle
    ],
)
def test_llava_next_counts_by_hand(size, tokens):
    plan = AnyresResolution(336).plan(*size)
    if size == (1000, 300):
        assert (plan.layout.rows, plan.layout.columns) == (1, 3)
        # int(300 * 72 / 1000) = 21 rows, (24 - 21) // 2 = 1 cut off at either edge: 22 rows of 72 and a newline.
        tokens = 576 + 22 * 73
    assert LlavaNextArrangement().segments(plan.layout, 576) == (tokens,)


def test_onevision_counts_by_hand():
    arrangement = OnevisionArrangement()
    assert arrangement.segments(VisualLayout(), 729) == (730,)
    assert arrangement.segments(VisualLayout(32, 0, 0, 1, 48, 64), 729) == (32 * 196 + 1,)
    largest = OnevisionResolution(384).plan(2304, 2304).layout
    # 6 x 6 tiles are 162 x 162 tokens; the edge shrinks by sqrt(36 / 9) = 2 to 81.
    assert arrangement.segments(largest, 729) == (729 + 81 * 82,)
    assert shrunk_grid(81, 98, 27, 9) == (81, 98), "1.1 times the limit is not yet scaled down"


def test_several_pictures_get_one_padded_tile_each():
    resolution = OnevisionResolution(384)
    assert resolution.in_sample(1) is resolution
    plan = resolution.in_sample(2).plan(1000, 300)
    assert len(plan.tiles) == 1
    assert plan.layout == VisualLayout(height_px=300, width_px=1000)
    assert plan.tiles[0].to_model(0, 0) == pytest.approx((0, 350 * 0.384))


def test_a_video_is_planned_frame_by_frame():
    plan = OnevisionResolution(384).plan_video(5, 64, 48)
    assert len(plan.tiles) == 1
    assert plan.layout.num_tiles == plan.layout.frames == 5
    assert OnevisionResolution(384).plan_video(1, 64, 48).layout.has_whole_frames_only
    with pytest.raises(ProcessingError, match="at least one frame"):
        OnevisionResolution(384).plan_video(0, 64, 48)


@settings(max_examples=200, deadline=None)
@given(sides, sides, st.integers(1, 27), st.integers(1, 6), st.integers(1, 6))
def test_unpadding_keeps_the_picture_and_is_symmetric(width_px, height_px, side, rows, columns):
    layout = VisualLayout(rows=rows, columns=columns, thumbnail=1, height_px=height_px, width_px=width_px)
    kept_rows, kept_columns = unpadded_grid(layout, side)
    assert 0 <= kept_rows <= rows * side
    assert 0 <= kept_columns <= columns * side
    assert rows * side == kept_rows or columns * side == kept_columns
    assert (rows * side - kept_rows) % 2 == (columns * side - kept_columns) % 2 == 0
    exact = min(rows * side, columns * side * height_px / width_px)
    assert kept_rows >= math.floor(exact) or kept_columns < columns * side


@pytest.mark.parametrize("grids", [[], [[1]], [[0, 2]], [[1, 2, 3]]])
def test_impossible_grids_are_refused(grids):
    with pytest.raises(ConfigError, match="grids must list"):
        AnyresResolution(336, grids)


def test_what_cannot_be_laid_out_is_refused():
    with pytest.raises(ConfigError, match="image_size"):
        AnyresResolution(0)
    with pytest.raises(ProcessingError, match="no pixels"):
        AnyresResolution(336).plan(0, 10)
    with pytest.raises(ConfigError, match="no square"):
        token_side(32)
    with pytest.raises(ConfigError, match="max_tiles"):
        OnevisionArrangement(0)
    with pytest.raises(ProcessingError, match="2 tiles without"):
        LlavaNextArrangement().segments(VisualLayout(columns=2), 4)
    with pytest.raises(ProcessingError, match="no picture size"):
        LlavaNextArrangement().segments(VisualLayout(columns=2, thumbnail=1), 4)
