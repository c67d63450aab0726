"""DeepSeek-VL's tiles: pixels of both views equal transformers' image processors; points find their way back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from transformers.models.deepseek_vl.image_processing_pil_deepseek_vl import DeepseekVLImageProcessorPil
from transformers.models.deepseek_vl_hybrid.image_processing_pil_deepseek_vl_hybrid import (
    DeepseekVLHybridImageProcessorPil,
)

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.layout.letterbox import HIGH_RES, HybridResolution, LetterboxResolution, plan_letterbox
from geoprose.layout.resize import Pad, Resize
from geoprose.processing.image_processor import GeoproseImageProcessor

HALF = [0.5, 0.5, 0.5]
SIZES = [(61, 61), (90, 33), (33, 90), (200, 9), (17, 300), (48, 40)]


def _picture(size):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


@pytest.mark.parametrize("size", SIZES)
def test_pixels_equal_transformers(size):
    ours = GeoproseImageProcessor(
        {"type": "letterbox", "image_size": 48, "min_side_px": 14}, image_mean=HALF, image_std=HALF
    )
    theirs = DeepseekVLImageProcessorPil(size={"height": 48, "width": 48}, image_mean=HALF, image_std=HALF)
    expected = np.stack(theirs([_picture(size)])["pixel_values"])
    assert np.abs(ours([_picture(size)])["pixel_values"].numpy() - expected).max() < 1e-5


@pytest.mark.parametrize("size", SIZES)
def test_both_views_equal_transformers(size):
    ours = GeoproseImageProcessor(
        {"type": "hybrid", "image_size": 32, "high_res_size": 80}, image_mean=HALF, image_std=HALF
    )([_picture(size)])
    theirs = DeepseekVLHybridImageProcessorPil(
        size={"height": 32, "width": 32},
        high_res_size={"height": 80, "width": 80},
        image_mean=HALF,
        image_std=HALF,
        resample=Image.Resampling.BILINEAR,
        high_res_resample=Image.Resampling.BICUBIC,
    )([_picture(size)])
    for name in ("pixel_values", HIGH_RES):
        expected = np.stack(theirs[name])
        assert ours[name].shape == expected.shape
        assert np.abs(ours[name].numpy() - expected).max() < 1e-5, name


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 4000), st.integers(1, 4000), st.sampled_from([32, 384, 1024]))
def test_the_tile_is_square_and_points_come_back(width_px, height_px, size):
    plan = HybridResolution(size // 2, size).plan(width_px, height_px)
    for tile in (plan.tiles[0], plan.extra[HIGH_RES][0]):
        last = tile.steps[-1]
        assert isinstance(last, Pad | Resize)
        assert (last.width_px, last.height_px) == tile.model_size_px
        x, y = tile.to_original(*tile.to_model(width_px / 3, height_px / 2))
        np.testing.assert_allclose((x, y), (width_px / 3, height_px / 2), rtol=1e-9)
    assert plan.whole == plan.tiles[0]
    assert plan.layout.num_tiles == len(plan.tiles) == 1


def test_bad_input_is_refused():
    with pytest.raises(ProcessingError, match="no pixels"):
        plan_letterbox(10, 0, 32)
    with pytest.raises(ConfigError, match="min_side_px"):
        LetterboxResolution(8, min_side_px=14)
    with pytest.raises(ConfigError, match="min_side_px"):
        HybridResolution(384, high_res_size=0)
