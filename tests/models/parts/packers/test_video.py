"""The generic video path: frames given as pictures, one tile each, pooled as transformers pools them."""

from types import SimpleNamespace

import pytest
import torch
from transformers.models.llava_next_video.modeling_llava_next_video import LlavaNextVideoPooler

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.core.spec import merge, validate
from geoprose.core.types import Message
from geoprose.layout.arrangements import ARRANGEMENTS, num_tokens
from geoprose.layout.resolutions import RESOLUTIONS
from geoprose.models.parts.packers.video import VideoPacker
from geoprose.processing.visuals import Video
from geoprose.systems.build import build_system
from geoprose.systems.presets import load_preset, preset_values
from tests.fixtures.systems import picture


@pytest.mark.parametrize("pool", [1, 2, 3])
def test_frames_are_pooled_as_in_transformers(pool):
    resolution = RESOLUTIONS.get("video_frames")(image_size=84)
    layouts = [resolution.plan_video(3, 40, 30).layout, resolution.plan(40, 30).layout]
    tokens = torch.randn(4, 36, 5, dtype=torch.float64)
    video, alone = VideoPacker(5, pool=pool)(tokens, layouts)
    assert torch.equal(alone, tokens[3])
    config = SimpleNamespace(
        spatial_pool_mode="average",
        spatial_pool_stride=pool,
        spatial_pool_out_channels=5,
        vision_config=SimpleNamespace(image_size=84, patch_size=14, hidden_size=5),
    )
    torch.testing.assert_close(video, LlavaNextVideoPooler(config)(tokens[:3]).flatten(0, 1))
    arrangement = ARRANGEMENTS.get("video")(pool=pool)
    assert [len(video), len(alone)] == [num_tokens(arrangement, layout, 36) for layout in layouts]


def test_a_fixed_system_takes_videos_by_two_changed_slots():
    values = merge(
        preset_values("llava-1.5"),
        {"name": "video", "reference": None, "verified": "none", "packer": {"type": "video", "pool": 2}},
    )
    values["resolution"] = {**values["resolution"], "type": "video_frames"}
    system = build_system(validate(type(load_preset("demo")), values, "a video system"), scale="tiny")
    processor = system.processor
    visuals = [[Video([picture(seed) for seed in range(3)]), picture(9)]]
    plans = processor.image_processor.plan_sample([(40, 40, 3), (40, 40)])
    counts = [processor.image_segments(plan.layout) for plan in plans]
    assert counts == [(3 * 4,), (16,)]
    ids = processor.encode_prompt([Message("user", "<image>\n<image>\nWhat moves?")], counts)
    pixels = processor.image_processor(visuals, return_tensors="pt")
    assert pixels["visual_layouts"][:, 0].tolist() == [3, 1]
    with torch.no_grad():
        logits = system.model(input_ids=torch.tensor([ids]), **pixels).logits
        pixels["pixel_values"][1] = 0
        other = system.model(input_ids=torch.tensor([ids]), **pixels).logits
    assert float((logits - other).abs().max()) > 0


def test_what_cannot_be_pooled_is_refused():
    resolution = RESOLUTIONS.get("video_frames")(image_size=84)
    layout = resolution.plan_video(1, 40, 30).layout
    with pytest.raises(ConfigError, match="cannot be pooled by 4"):
        VideoPacker(5, pool=4)(torch.zeros(1, 36, 5), [layout])
    with pytest.raises(ConfigError, match="cannot be pooled by 5"):
        ARRANGEMENTS.get("video")(pool=5).segments(layout, 36)
    with pytest.raises(ProcessingError, match="at least one frame"):
        resolution.plan_video(0, 40, 30)
    with pytest.raises(ProcessingError, match="describe 1 tiles but the pictures gave 2"):
        VideoPacker(5)(torch.zeros(2, 36, 5), [layout])
