import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize as published_resize

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.layout.naive_dynamic import NaiveDynamicResolution, smart_resize

sides = st.integers(1, 5000)


@given(sides, sides, st.sampled_from([8, 14, 28, 32]), st.integers(1, 200), st.integers(1, 2000))
@settings(max_examples=300, deadline=None)
def test_size_is_the_published_one(width_px, height_px, factor, least, more):
    limits = {"min_pixels": least * factor**2, "max_pixels": (least + more) * factor**2}
    if max(width_px, height_px) / min(width_px, height_px) > 200:
        with pytest.raises(ValueError, match="aspect"):
            published_resize(height_px, width_px, factor, **limits)
        with pytest.raises(ProcessingError, match="200 times"):
            smart_resize(width_px, height_px, factor, **limits)
        return
    height, width = published_resize(height_px, width_px, factor, **limits)
    assert smart_resize(width_px, height_px, factor, **limits) == (width, height)


@given(st.integers(20, 4000), st.integers(20, 4000), st.integers(1, 9))
@settings(max_examples=100, deadline=None)
def test_layout_counts_tokens_and_histories_return(width_px, height_px, frames):
    resolution = NaiveDynamicResolution()
    for plan in (resolution.plan(width_px, height_px), resolution.plan_video(frames, width_px, height_px)):
        width, height = plan.whole.model_size_px
        assert (plan.layout.columns * 28, plan.layout.rows * 28) == (width, height)
        assert (plan.layout.width_px, plan.layout.height_px) == (width_px, height_px)
        x, y = plan.whole.to_original(*plan.whole.to_model(3.0, 7.0))
        assert (x, y) == pytest.approx((3.0, 7.0))
    assert plan.layout.frames == (frames + 1) // 2
    assert plan.layout.num_tiles == plan.layout.frames * plan.layout.rows * plan.layout.columns


@pytest.mark.parametrize(
    ("size", "grid"),
    [
        ((224, 224), (8, 8)),
        ((1024, 1024), (35, 35)),
        ((1280, 720), (26, 46)),
        ((640, 480), (17, 23)),
        ((20, 20), (2, 2)),
    ],
)
def test_known_sizes(size, grid):
    # By hand from section 2.1 of arXiv:2409.12191: a 224x224 picture becomes 66 tokens, two of them the markers.
    layout = NaiveDynamicResolution().plan(*size).layout
    assert (layout.rows, layout.columns) == grid


@pytest.mark.parametrize("size", [(0, 5), (5, 0)])
def test_empty_picture_is_refused(size):
    with pytest.raises(ProcessingError, match="no pixels"):
        NaiveDynamicResolution().plan(*size)


def test_video_without_frames_is_refused():
    with pytest.raises(ProcessingError, match="at least one frame"):
        NaiveDynamicResolution().plan_video(0, 28, 28)


@pytest.mark.parametrize(
    "options",
    [
        {"image_size": 30},
        {"patch_size": 0},
        {"frames_per_step": 0},
        {"min_pixels": 0},
        {"min_pixels": 9000, "max_pixels": 8000},
        {"max_pixels": 700, "min_pixels": 100},
        {"video_min_pixels": 5000, "video_max_pixels": 4000},
    ],
)
def test_impossible_options_are_refused(options):
    with pytest.raises(ConfigError):
        NaiveDynamicResolution(**options)
