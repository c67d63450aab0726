"""InternVL and DeepSeek-VL at full size: parameters and visual tokens are the published ones."""

import pytest

from geoprose.layout.arrangements import ARRANGEMENTS
from geoprose.layout.resolutions import RESOLUTIONS
from geoprose.systems.build import build_meta_model
from geoprose.systems.presets import load_preset

# Millions of parameters, as published and rounded there; and the widest gap that this rounding explains.
PARAMETERS = {
    "internvl-1.5": (25_500, 50),  # OpenGVLab/InternVL-Chat-V1-5: 25.5B
    "internvl-2.5": (8_080, 5),  # OpenGVLab/InternVL2_5-8B: 8.08B
    "internvl-3": (7_940, 5),  # OpenGVLab/InternVL3-8B: 7.94B
    "deepseek-vl": (1_980, 5),  # deepseek-ai/deepseek-vl-1.3b-chat: 1.98B
    "deepseek-vl-hybrid": (7_340, 5),  # deepseek-ai/deepseek-vl-7b-chat: 7.34B
    "deepseek-vl2": (16_100, 50),  # deepseek-ai/deepseek-vl2-small: 16.1B
}
# The checkpoints carry SigLIP-L's pooling head, which no model reads: a probe, attention, a norm, an MLP of factor 4.
POOLING_HEAD = 1024 + 4 * (1024**2 + 1024) + 2 * 1024 + 2 * 4 * 1024**2 + 5 * 1024
UNREAD = {"deepseek-vl": POOLING_HEAD, "deepseek-vl-hybrid": POOLING_HEAD}


@pytest.mark.parametrize("preset", list(PARAMETERS))
def test_parameters(preset):
    model, spec = build_meta_model(preset), load_preset(preset)
    text = model.config.get_text_config()
    added_rows = text.vocab_size - spec.language_model.config["vocab_size"]
    count = sum(parameter.numel() for parameter in model.parameters())
    count += UNREAD.get(preset, 0) - 2 * added_rows * text.hidden_size
    published, gap = PARAMETERS[preset]
    assert abs(count / 1e6 - published) <= gap
    assert model.model.num_visual_tokens == spec.num_visual_tokens()


def test_internvl_has_the_bytes_of_the_released_index():
    # model.safetensors.index.json of OpenGVLab/InternVL2-8B, whose parts have the shapes of InternVL2_5-8B: total_size
    # 16,150,730,752 bytes of bfloat16.
    model, spec = build_meta_model("internvl-2.5"), load_preset("internvl-2.5")
    text = model.config.get_text_config()
    added_rows = text.vocab_size - spec.language_model.config["vocab_size"]
    count = sum(parameter.numel() for parameter in model.parameters()) - 2 * added_rows * text.hidden_size
    assert 2 * count == 16_150_730_752


def _tokens(preset, width_px, height_px, pictures=1, **options):
    spec = load_preset(preset)
    resolution = RESOLUTIONS.get(spec.resolution.type)(**spec.resolution.arguments() | options)
    if hasattr(resolution, "in_sample"):
        resolution = resolution.in_sample(pictures)
    arrangement = ARRANGEMENTS.get(spec.packer.type)(**spec.packer.arguments())
    return sum(arrangement.segments(resolution.plan(width_px, height_px).layout, spec.num_visual_tokens()))


@pytest.mark.parametrize("preset", ["internvl-1.5", "internvl-2.5", "internvl-3", "internvl-3-v2pe"])
def test_tokens_of_internvl(preset):
    # arXiv:2404.16821 section 3.3: 256 to 3328 tokens in training, up to 40 tiles and 10496 tokens at test.
    assert _tokens(preset, 448, 448) == 256
    assert _tokens(preset, 900, 450) == 3 * 256
    assert _tokens(preset, 4000, 3000) == 3_328
    assert _tokens(preset, 4000, 2500, max_tiles=40) == 10_496


@pytest.mark.parametrize("preset", ["deepseek-vl", "deepseek-vl-hybrid"])
@pytest.mark.parametrize("size", [(384, 384), (1024, 1024), (3000, 200)])
def test_tokens_of_deepseek_vl(preset, size):
    # arXiv:2403.05525 section 3.1: 576 tokens, whatever the picture.
    assert _tokens(preset, *size) == 576


def test_tokens_of_deepseek_vl2():
    # arXiv:2412.10302 section 2.1: 210 + 1 + m * 14 * (n * 14 + 1) for m x n tiles.
    assert _tokens("deepseek-vl2", 384, 384) == 210 + 1 + 14 * 15 == 421
    assert _tokens("deepseek-vl2", 768, 384) == 210 + 1 + 14 * 29
    assert _tokens("deepseek-vl2", 3000, 3000) == 210 + 1 + 42 * 43
    assert _tokens("deepseek-vl2", 3000, 3000, pictures=3) == 421
