"""Rows of patches: the grid and the pixels of Fuyu's own processor, and rows that end."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.layout.arrangements import ARRANGEMENTS, num_tokens
from geoprose.layout.patch_rows import FuyuPatchesResolution
from geoprose.layout.visual import VisualLayout
from geoprose.processing.image_processor import GeoproseImageProcessor

LIMITS = {"image_size": 6, "max_width_px": 60, "max_height_px": 48}
sides = st.integers(min_value=3, max_value=140)


def _theirs():
    from transformers.models.fuyu.image_processing_pil_fuyu import FuyuImageProcessorPil

    return FuyuImageProcessorPil(size={"height": 48, "width": 60}, patch_size={"height": 6, "width": 6})


def _noise(width, height, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


@given(width=sides, height=sides)
@settings(max_examples=60, deadline=None)
def test_grid_is_the_one_of_the_published_processor(width, height):
    processed = _theirs()([_noise(width, height)])
    rows = -(-processed["image_unpadded_heights"][0][0] // 6)
    columns = -(-processed["image_unpadded_widths"][0][0] // 6)
    plan = FuyuPatchesResolution(**LIMITS).plan(width, height)
    assert (plan.layout.rows, plan.layout.columns) == (rows, columns)
    assert plan.whole.model_size_px == (columns * 6, rows * 6)


@pytest.mark.parametrize("size", [(18, 12), (17, 11), (130, 31), (61, 48), (5, 5)])
def test_patches_are_those_of_the_published_processor(size):
    picture = _noise(*size)
    theirs = _theirs()
    processed = theirs([picture])
    ours = GeoproseImageProcessor(
        resolution={"type": "fuyu_patches", **LIMITS}, resample="bilinear", image_mean=[0.5] * 3, image_std=[0.5] * 3
    )(picture, return_tensors="np")
    rows, columns = ours["visual_layouts"][0][1:3]
    padded = np.asarray(processed["images"][0][0])[:, : rows * 6, : columns * 6]
    patches = theirs.patchify_image(padded)
    channels_last = ours["pixel_values"].reshape(-1, 3, 36).transpose(0, 2, 1).reshape(-1, 108)
    np.testing.assert_allclose(channels_last, patches, atol=1e-6)


def test_a_full_hd_picture_takes_2304_tokens_in_36_rows():
    layout = FuyuPatchesResolution().plan(1920, 1080).layout
    segments = ARRANGEMENTS.get("rows_newline")().segments(layout, 1)
    assert segments == (64,) * 36
    assert sum(segments) == 2304


@given(rows=st.integers(1, 9), columns=st.integers(1, 9))
def test_rows_of_codes_carry_their_end(rows, columns):
    layout = VisualLayout(rows=rows, columns=columns)
    assert num_tokens(ARRANGEMENTS.get("rows_newline")(), layout, 1) == rows * columns
    assert num_tokens(ARRANGEMENTS.get("eol_rows")("<eol>"), layout, 1) == rows * (columns + 1)


def test_pictures_and_limits_that_cannot_be_cut_are_refused():
    with pytest.raises(ConfigError, match="multiples of the patch side 30"):
        FuyuPatchesResolution(max_width_px=100)
    with pytest.raises(ProcessingError, match="has no pixels"):
        FuyuPatchesResolution().plan(0, 5)
    with pytest.raises(ProcessingError, match="keeps no pixel"):
        FuyuPatchesResolution(**LIMITS).plan(100, 1_000_000)
