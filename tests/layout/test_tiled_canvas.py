"""Llama 3.2 Vision's tiles: the arithmetic and the pixels of transformers' processor."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.models.mllama.image_processing_pil_mllama import (
    MllamaImageProcessorPil,
    get_all_supported_aspect_ratios,
    get_image_size_fit_to_canvas,
    get_optimal_tiled_canvas,
)

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.layout.tiled_canvas import TiledCanvasResolution, canvases
from geoprose.processing.image_processor import GeoproseImageProcessor
from tests.fixtures.systems import picture

sizes = st.integers(1, 3000)


@settings(deadline=None, max_examples=300)
@given(width=sizes, height=sizes, max_tiles=st.integers(1, 6), side=st.sampled_from([56, 224, 448, 560]))
def test_arithmetic_of_transformers(width, height, max_tiles, side):
    plan = TiledCanvasResolution(side, max_tiles).plan(width, height)
    canvas_height, canvas_width = get_optimal_tiled_canvas(height, width, max_tiles, side)
    assert (plan.layout.rows * side, plan.layout.columns * side) == (canvas_height, canvas_width)
    assert plan.whole.model_size_px == (canvas_width, canvas_height)
    resize, pad = plan.whole.steps
    fitted = get_image_size_fit_to_canvas(height, width, canvas_height, canvas_width, side)
    assert (resize.height_px, resize.width_px) == fitted
    assert (pad.width_px, pad.height_px) == (canvas_width, canvas_height)
    assert len(plan.tiles) == plan.layout.num_tiles <= max_tiles


@pytest.mark.parametrize("max_tiles", [1, 4, 6])
def test_shapes_stand_in_the_published_order(max_tiles):
    assert canvases(max_tiles) == get_all_supported_aspect_ratios(max_tiles)


@pytest.mark.parametrize("size", [(40, 40), (130, 70), (33, 190), (300, 220), (57, 56)])
def test_pixels_of_transformers(size):
    mean, std = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    ours = GeoproseImageProcessor({"type": "tiled_canvas", "image_size": 56}, "bilinear", mean, std)
    theirs = MllamaImageProcessorPil(
        size={"height": 56, "width": 56}, max_image_tiles=4, image_mean=mean, image_std=std
    )
    image = picture(3, size)
    expected = theirs(images=[[image]], return_tensors="np")
    tiles = ours(image, return_tensors="pt")["pixel_values"]
    num_tiles = int(expected["aspect_ratio_mask"].sum())
    assert len(tiles) == num_tiles
    assert np.abs(tiles.numpy() - expected["pixel_values"][0, 0, :num_tiles]).max() < 1e-5


def test_a_point_stands_where_its_tile_says():
    plan = TiledCanvasResolution(100, 4).plan(180, 90)
    assert plan.layout[1:4] == (1, 2, 0)
    x, y = plan.whole.to_model(135, 45)
    assert plan.tiles[1].to_model(135, 45) == pytest.approx((x - 100, y))
    assert plan.whole.to_original(x, y) == pytest.approx((135, 45))


def test_impossible_sizes_are_refused():
    with pytest.raises(ConfigError, match="0 tiles"):
        TiledCanvasResolution(56, 0)
    with pytest.raises(ProcessingError, match="no pixels"):
        TiledCanvasResolution(56).plan(0, 5)
