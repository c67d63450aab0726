"""LLaVA-NeXT, LLaVA-OneVision and Phi-3-Vision at published size: parameters and visual tokens, without weights."""

import pytest
import torch
from transformers import LlavaNextForConditionalGeneration, LlavaOnevisionForConditionalGeneration

from geoprose.layout.arrangements import ARRANGEMENTS, num_tokens
from geoprose.layout.onevision import OnevisionResolution
from geoprose.systems.build import build_meta_model
from geoprose.systems.cost import parameters_by_part, visual_tokens
from geoprose.systems.interop import REFERENCES
from geoprose.systems.presets import load_preset

NAMES = ("llava-next", "llava-onevision", "phi-3-vision")
MODELS = {name: build_meta_model(name) for name in NAMES}
SPECS = {name: load_preset(name) for name in NAMES}

CLIP_L_336 = 303_507_456
"""CLIP ViT-L/14-336, image tower without projection."""


def _added_rows(name):
    """Parameters of the vocabulary rows that we add for the image token, embedding and head."""
    config = SPECS[name].language_model.config
    rows = MODELS[name].config.get_text_config().vocab_size - config["vocab_size"]
    return 2 * rows * config["hidden_size"]


@pytest.mark.parametrize(
    ("name", "theirs"),
    [("llava-next", LlavaNextForConditionalGeneration), ("llava-onevision", LlavaOnevisionForConditionalGeneration)],
)
def test_parameters_equal_the_transformers_class_at_full_size(name, theirs):
    reference = REFERENCES.get(SPECS[name].reference)()
    with torch.device("meta"):
        published = theirs(reference.config(MODELS[name].config))
    assert sum(p.numel() for p in MODELS[name].parameters()) == sum(p.numel() for p in published.parameters())


def test_llava_next_has_the_published_parameters():
    parts = parameters_by_part(MODELS["llava-next"])
    # llava-hf/llava-1.5-7b-hf holds 7,063,427,072, its vocabulary padded to 32064; the newline adds its width.
    assert sum(parts.values()) == 7_063_427_072 + 4096
    assert parts["vision_encoder"] == CLIP_L_336
    assert parts["packer"] == 4096


def test_llava_onevision_has_the_published_parameters():
    parts = parameters_by_part(MODELS["llava-onevision"])
    # Qwen2-7B holds 7,615,616,512 (model card: 7.62B); the hub gives the whole as 8.03B.
    assert parts["language_model"] + parts["lm_head"] - _added_rows("llava-onevision") == 7_615_616_512
    assert round(sum(parts.values()) / 1e9, 2) == 8.03
    assert parts["connector"] == 1152 * 3584 + 3584 + 3584 * 3584 + 3584


def test_phi_3_vision_has_the_published_parameters():
    parts = parameters_by_part(MODELS["phi-3-vision"])
    # Phi-3-mini holds 3,821,079,552 (3.8B in arXiv:2404.14219); the hub gives the whole as 4.15B.
    assert parts["language_model"] + parts["lm_head"] - _added_rows("phi-3-vision") == 3_821_079_552
    assert parts["vision_encoder"] == CLIP_L_336
    assert parts["connector"] == 4096 * 3072 + 3072 + 3072 * 3072 + 3072 + 2 * 4096
    assert round((sum(parts.values()) - _added_rows("phi-3-vision")) / 1e9, 2) == 4.15


@pytest.mark.parametrize(
    ("name", "size", "tokens"),
    [
        # 576 of the whole view, then (rows, columns + newline) of the unpadded grid.
        ("llava-next", (640, 480), 576 + 36 * 49),
        ("llava-next", (672, 672), 576 + 48 * 49),
        ("llava-next", (336, 1008), 576 + 72 * 25),
        ("llava-next", (1008, 336), 576 + 24 * 73),
        # The published limit of a picture is 729 * (1 + 9) = 7290 tokens, newlines not counted.
        ("llava-onevision", (2304, 2304), 7290 + 81),
        ("llava-onevision", (384, 384), 729 + 27 * 28),
        ("llava-onevision", (640, 480), 729 + 40 * 55),
        # 1921 is what the processor gives for 3 x 4 tiles; 2509 is the most, 4 x 4 tiles.
        ("phi-3-vision", (1344, 1008), 1921),
        ("phi-3-vision", (336, 336), 2509),
        # Ten tiles in a row: eleven would need 11 x 2, for the short edge passes one tile.
        ("phi-3-vision", (1000, 100), (10 + 1) * 144 + 1 + (1 + 1) * 12),
    ],
)
def test_visual_tokens_for_given_pictures(name, size, tokens):
    assert visual_tokens(SPECS[name], MODELS[name], *size) == tokens


def test_onevision_counts_several_pictures_and_videos_as_published():
    spec = SPECS["llava-onevision"]
    arrangement = ARRANGEMENTS.get(spec.packer.type)(**spec.packer.arguments())
    resolution = OnevisionResolution(384)
    per_tile = MODELS["llava-onevision"].model.num_visual_tokens
    assert per_tile == spec.num_visual_tokens() == 729
    # arXiv:2408.03326 figure 3: 729 for each of several pictures, 196 for each frame; a newline ends each visual.
    assert num_tokens(arrangement, resolution.in_sample(3).plan(900, 30).layout, per_tile) == 729 + 1
    assert num_tokens(arrangement, resolution.plan_video(32, 900, 30).layout, per_tile) == 32 * 196 + 1
