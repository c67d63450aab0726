"""DeepSeek-VL2's tiling: hand-computed grids, Pillow's own padding, and points that come back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.layout.candidate_tiles import CandidateTilesResolution, best_candidate, candidate_grids, contain_steps
from geoprose.layout.resize import Pad
from geoprose.processing.image_processor import GeoproseImageProcessor

sides = st.integers(1, 3000)


def test_candidates_are_the_published_ones():
    sizes = [[columns * 384, rows * 384] for columns, rows in candidate_grids(9)]
    assert len(sizes) == 23
    assert sizes[:8] == [
        [384, 384],
        [384, 768],
        [768, 384],
        [384, 1152],
        [1152, 384],
        [384, 1536],
        [1536, 384],
        [768, 768],
    ]
    assert sizes[-1] == [1152, 1152]


@pytest.mark.parametrize(
    ("size", "grid"),
    [
        ((384, 384), (1, 1)),  # nothing is lost, nothing is wasted
        ((100, 100), (1, 1)),  # small pictures are never cut
        ((768, 384), (2, 1)),
        ((400, 400), (2, 2)),  # one tile keeps 147456 of 160000 pixels, four keep all
        ((1000, 500), (3, 2)),  # two tiles keep 294912 of 500000, (3, 2) keeps all and wastes least
        ((4000, 400), (9, 1)),
        ((3000, 3000), (3, 3)),
    ],
)
def test_grids_by_hand(size, grid):
    assert best_candidate(*size, 384, 9) == grid


@settings(max_examples=60, deadline=None)
@given(sides, sides, st.integers(1, 9))
def test_the_best_grid_keeps_most_and_wastes_least(width_px, height_px, max_tiles):
    def kept_and_wasted(grid):
        scale = min(grid[0] * 384 / width_px, grid[1] * 384 / height_px)
        kept = min(int(width_px * scale) * int(height_px * scale), width_px * height_px)
        return -kept, grid[0] * grid[1] * 384**2 - kept

    best = best_candidate(width_px, height_px, 384, max_tiles)
    assert kept_and_wasted(best) == min(map(kept_and_wasted, candidate_grids(max_tiles)))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 4), st.integers(1, 4))
def test_fitting_equals_pillow(width_px, height_px, columns, rows):
    canvas = (columns * 40, rows * 40)
    if round(height_px / width_px * canvas[0]) == 0 or round(width_px / height_px * canvas[1]) == 0:
        return  # Pillow cannot make a picture without pixels
    expected = ImageOps.pad(Image.new("L", (width_px, height_px), 255), canvas, color=0)
    steps = contain_steps(width_px, height_px, *canvas)
    is_inside = np.zeros((canvas[1], canvas[0]), dtype=bool)
    left, top = (steps[1].left_px, steps[1].top_px) if isinstance(steps[-1], Pad) else (0, 0)
    is_inside[top : top + steps[0].height_px, left : left + steps[0].width_px] = True
    assert np.array_equal(np.asarray(expected) == 255, is_inside)


def test_several_pictures_are_not_cut():
    resolution = CandidateTilesResolution(384)
    assert resolution.in_sample(2).plan(3000, 3000).layout.num_tiles == 10
    assert resolution.in_sample(3).plan(3000, 3000).layout.num_tiles == 2
    processor = GeoproseImageProcessor({"type": "candidate_tiles", "image_size": 16})
    picture = Image.new("RGB", (64, 16))
    assert len(processor([[picture] * 2])["pixel_values"]) == 10
    assert len(processor([[picture] * 3])["pixel_values"]) == 6


@settings(max_examples=60, deadline=None)
@given(sides, sides)
def test_points_come_back(width_px, height_px):
    plan = CandidateTilesResolution(384).plan(width_px, height_px)
    assert len(plan.tiles) == plan.layout.num_tiles
    for tile in plan.tiles:
        back = tile.to_original(*tile.to_model(width_px / 3, height_px / 5))
        np.testing.assert_allclose(back, (width_px / 3, height_px / 5), rtol=1e-6, atol=1e-6)


def test_bad_input_is_refused():
    with pytest.raises(ProcessingError, match="no pixels"):
        CandidateTilesResolution(384).plan(3, 0)
    with pytest.raises(ConfigError, match="max_tiles"):
        CandidateTilesResolution(384, max_tiles=0)
