"""Sizes and costs against published figures."""

import pytest
import torch

from geoprose.systems.build import build_meta_model
from geoprose.systems.cost import forward_flops, memory_bytes, parameters_by_part, text_flops, visual_tokens
from geoprose.systems.presets import load_preset

TABLE = {"geochat": (6760.72, 6904.53), "geochat-13b": (13048.66, 13377.05)}
"""Parameters in millions and GFLOPs of the distillation brief."""


@pytest.mark.parametrize("name", TABLE)
def test_the_published_costs_of_geochat(name):
    spec = load_preset(name)
    model = build_meta_model(spec)
    parts = parameters_by_part(model)
    vocabulary, width = spec.language_model.config["vocab_size"], spec.language_model.config["hidden_size"]
    added_rows = 2 * (model.config.get_text_config().vocab_size - vocabulary) * width
    table = model.model.vision_encoder.state_dict()[model.model.vision_encoder.position_table_key()].numel()
    counted = parts["language_model"] + parts["lm_head"] - added_rows + parts["connector"] + table
    assert round(counted / 1e6, 2) == TABLE[name][0]
    config = model.config.get_text_config()
    config.vocab_size = vocabulary
    assert round(text_flops(config) / 1e9, 2) == TABLE[name][1]
    assert round(text_flops(config, tokens=511) / 1e9, 2) != TABLE[name][1]


def test_counted_flops_of_a_hand_computed_model():
    spec = load_preset("llava-1.5")
    model = build_meta_model(spec)
    flops = forward_flops(spec, model, (336, 336), text_tokens=24)
    length, width, hidden = 600, 4096, 11008
    layer = 4 * width**2 + 3 * width * hidden
    assert flops["language_model"] == 2 * 32 * (length * layer + 2 * length**2 * width)
    assert flops["head"] == 2 * length * width * 32064
    clip = 2 * 24 * (577 * (4 * 1024**2 + 2 * 1024 * 4096) + 2 * 577**2 * 1024) + 2 * 576 * 1024 * 14 * 14 * 3
    projector = 2 * 576 * (1024 * 4096 + 4096**2)
    assert flops["vision"] == clip + projector


def test_visual_tokens_do_not_depend_on_the_picture_of_a_fixed_resolution():
    spec = load_preset("geochat")
    model = build_meta_model(spec)
    assert {visual_tokens(spec, model, *size) for size in ((504, 504), (10, 3000))} == {1296}


def test_memory_counts_weights_cache_and_optimiser():
    spec = load_preset("llava-1.5")
    model = build_meta_model(spec)
    weights = sum(parameter.numel() for parameter in model.parameters())
    assert memory_bytes(model, 0).inference == 2 * weights
    assert memory_bytes(model, 10).inference - memory_bytes(model, 0).inference == 2 * 32 * 4096 * 10 * 2
    assert memory_bytes(model, 10).training == 18 * weights


def test_a_tied_head_counts_once():
    spec = load_preset("demo")
    model = build_meta_model(spec)
    with torch.device("meta"):
        assert "lm_head" not in parameters_by_part(model)
