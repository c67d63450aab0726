import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.layout.resize import RESIZE_MODES, Crop, Pad, Resize, plan_resize

sides = st.integers(1, 3000)


@given(
    sides, sides, st.sampled_from(RESIZE_MODES), st.sampled_from([14, 112, 336, 504]), st.floats(0, 1), st.floats(0, 1)
)
def test_there_and_back_is_the_same_point(width, height, mode, size, u, v):
    history = plan_resize(width, height, mode, size)
    x, y = history.to_original(*history.to_model(u * width, v * height))
    assert (x, y) == pytest.approx((u * width, v * height), abs=1e-6)
    last = history.steps[-1]
    assert (last.width_px, last.height_px) == (size, size) == history.model_size_px


@given(sides, sides)
def test_resize_maps_corners_to_corners(width, height):
    history = plan_resize(width, height, "resize", 112)
    assert history.to_model(0, 0) == (0, 0)
    assert history.to_model(width, height) == pytest.approx((112, 112))


def test_pad_centres_and_keeps_the_aspect():
    history = plan_resize(101, 50, "pad", 336)
    assert history.steps == (Pad(0, 25, 101, 101), Resize(336, 336, 336 / 101, 336 / 101))
    assert history.to_model(0, 0) == pytest.approx((0, 25 * 336 / 101))


def test_center_crop_follows_the_truncation_of_transformers():
    # 1000 x 333 to 224: the longer edge is int(224 * 1000 / 333) = 672, the crop starts at (672 - 224) // 2.
    history = plan_resize(1000, 333, "center_crop", 224)
    assert history.steps == (Resize(672, 224, 0.672, 224 / 333), Crop(224, 0, 224, 224))


def test_unusable_plans_are_refused():
    with pytest.raises(ConfigError, match="Known: resize, pad, center_crop"):
        plan_resize(4, 4, "stretch", 4)
    with pytest.raises(ConfigError, match="tile side"):
        plan_resize(4, 4, "resize", 0)
    with pytest.raises(ProcessingError, match="no pixels"):
        plan_resize(0, 4, "resize", 4)
