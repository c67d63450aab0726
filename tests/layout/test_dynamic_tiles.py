"""InternVL's tiling equals transformers' own, and its tiles cover the picture once."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import (
    GotOcr2ImageProcessorPil,
    get_optimal_tiled_canvas,
)

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.layout.dynamic_tiles import DynamicTilesResolution, best_grid
from geoprose.layout.resolutions import RESOLUTIONS
from geoprose.processing.image_processor import GeoproseImageProcessor

sides = st.integers(1, 5000)


@settings(max_examples=400, deadline=None)
@given(sides, sides, st.sampled_from([14, 112, 448]), st.integers(1, 6), st.integers(0, 34))
def test_grid_equals_transformers(width_px, height_px, side_px, min_tiles, more):
    expected = get_optimal_tiled_canvas((height_px, width_px), (side_px, side_px), min_tiles, min_tiles + more)
    assert best_grid(width_px, height_px, side_px, min_tiles, min_tiles + more) == expected


def test_grid_equals_transformers_at_ties():
    for columns, rows, unit in product(range(1, 13), range(1, 13), (20, 150, 317, 448, 900)):
        expected = get_optimal_tiled_canvas((rows * unit, columns * unit), (448, 448), 1, 12)
        assert best_grid(columns * unit, rows * unit, 448, 1, 12) == expected


@settings(max_examples=100, deadline=None)
@given(sides, sides, st.integers(1, 12))
def test_tiles_cover_the_picture_once(width_px, height_px, max_tiles):
    plan = DynamicTilesResolution(448, max_tiles=max_tiles).plan(width_px, height_px)
    layout = plan.layout
    assert len(plan.tiles) == layout.num_tiles
    assert layout.thumbnail == (layout.rows * layout.columns > 1)
    corners = [tile.to_original(0, 0) for tile in plan.tiles[: layout.rows * layout.columns]]
    expected = [
        (column * width_px / layout.columns, row * height_px / layout.rows)
        for row in range(layout.rows)
        for column in range(layout.columns)
    ]
    np.testing.assert_allclose(corners, expected, rtol=1e-9, atol=1e-6)
    if layout.thumbnail:
        assert plan.tiles[-1] == plan.whole
        np.testing.assert_allclose(plan.whole.to_original(448, 448), (width_px, height_px), rtol=1e-9)


@pytest.mark.parametrize("size", [(61, 61), (90, 33), (33, 90), (200, 100), (170, 41)])
def test_pixels_equal_transformers(size):
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    picture = Image.fromarray(pixels)
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    ours = GeoproseImageProcessor(
        {"type": "dynamic_tiles", "image_size": 28, "max_tiles": 6}, image_mean=mean, image_std=std
    )(picture, return_tensors="pt")
    theirs = GotOcr2ImageProcessorPil(
        size={"height": 28, "width": 28}, crop_to_patches=True, max_patches=6, image_mean=mean, image_std=std
    )(picture, return_tensors="pt")
    assert ours["pixel_values"].shape == theirs["pixel_values"].shape
    assert (ours["pixel_values"] - theirs["pixel_values"]).abs().max() < 1e-5


def test_without_thumbnail():
    plan = DynamicTilesResolution(448, thumbnail=False).plan(900, 450)
    assert (len(plan.tiles), plan.layout.thumbnail) == (2, 0)


def test_registered():
    assert RESOLUTIONS.get("dynamic_tiles") is DynamicTilesResolution


def test_bad_input_is_refused():
    with pytest.raises(ProcessingError, match="no pixels"):
        DynamicTilesResolution(448).plan(0, 10)
    with pytest.raises(ConfigError, match="max_tiles"):
        DynamicTilesResolution(448, min_tiles=4, max_tiles=2)
    with pytest.raises(ConfigError, match="image_size"):
        DynamicTilesResolution(0)
