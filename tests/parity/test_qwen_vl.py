"""Qwen-VL against stored outputs of the published code (tests/parity/goldens/make_qwen_vl.py)."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from geoprose.processing.image_processor import GeoproseImageProcessor
from geoprose.systems.build import build_meta_model, build_system
from geoprose.systems.hf_config import hf_config
from geoprose.systems.interop.qwen_vl import qwen_vl_key_map
from geoprose.systems.kinds import kind_of
from geoprose.systems.presets import load_preset
from geoprose.systems.verify import batch_of
from tests.fixtures.systems import randomise
from tests.parity.goldens.make_qwen_vl import (
    CHANNEL_STEP,
    IMAGE_START,
    LANGUAGE,
    TEXT,
    TOKEN_STEP,
    VISUAL,
    picture,
    weight,
)

GOLDEN = json.loads((Path(__file__).parent / "goldens" / "qwen_vl.json").read_text())
EXACT = {"atol": 1e-5, "rtol": 0}
IMAGE_PAD = IMAGE_START + 2


@pytest.fixture(scope="module")
def spec():
    published = load_preset("qwen-vl")
    values = published.model_dump(mode="json")
    values["vision_encoder"]["config"].update(
        hidden_size=VISUAL["width"],
        intermediate_size=int(VISUAL["width"] * VISUAL["mlp_ratio"]),
        num_hidden_layers=VISUAL["layers"],
        num_attention_heads=VISUAL["heads"],
    )
    values["language_model"]["config"].update(
        {key: LANGUAGE[key] for key in ("vocab_size", "hidden_size", "num_attention_heads", "num_hidden_layers")},
        num_key_value_heads=LANGUAGE["num_attention_heads"],
        intermediate_size=LANGUAGE["intermediate_size"] // 2,
    )
    return type(published).model_validate(values)


@pytest.fixture(scope="module")
def model(spec):
    built = kind_of(spec.kind).model_class()(hf_config(spec, LANGUAGE["vocab_size"], IMAGE_PAD, {})).double().eval()
    published = {name: weight(name, shape) for name, shape in GOLDEN["weights"].items()}
    published["transformer.visual.attn_pool.pos_embed"] = torch.zeros(256, 256)
    state, left_out = qwen_vl_key_map(built.config).to_ours(published)
    assert left_out == ["transformer.visual.attn_pool.pos_embed"]
    built.load_state_dict(state, strict=True)
    return built


@pytest.fixture(scope="module")
def pixels(spec):
    resolution = spec.resolution
    processor = GeoproseImageProcessor(
        resolution.as_config(), resolution.resample, resolution.image_mean, resolution.image_std
    )
    return [processor(picture(tuple(golden["size"])))["pixel_values"].double() for golden in GOLDEN["pictures"]]


def _ids(*pictures):
    blocks = [[IMAGE_START, *([IMAGE_PAD] * 256), IMAGE_START + 1, *TEXT] for _ in pictures]
    return torch.tensor([[TEXT[0], *(token for block in blocks for token in block)]])


@torch.no_grad()
def test_visual_tokens_and_logits_equal_the_published_code(model, pixels):
    for golden, picture_pixels in zip(GOLDEN["pictures"], pixels, strict=True):
        outputs = model(input_ids=_ids(0), pixel_values=picture_pixels)
        (tokens,) = outputs.image_hidden_states
        assert tokens.shape == (256, 256)
        np.testing.assert_allclose(tokens[::TOKEN_STEP, ::CHANNEL_STEP].numpy(), golden["tokens"], **EXACT)
        np.testing.assert_allclose(outputs.logits[0, -2:].numpy(), golden["logits"], **EXACT)
    both = model(input_ids=_ids(0, 1), pixel_values=torch.cat(pixels)).logits[0, -2:]
    np.testing.assert_allclose(both.numpy(), GOLDEN["both"], **EXACT)


@torch.no_grad()
@pytest.mark.parametrize("part", ["connector.query", "vision_encoder.tower.encoder.layers.0.self_attn.k_proj.weight"])
def test_a_permuted_weight_is_noticed(model, pixels, part):
    parameter = model.get_parameter(f"model.{part}")
    original = parameter.clone()
    parameter.copy_(original.flip(0))
    logits = model(input_ids=_ids(0), pixel_values=pixels[0]).logits[0, -2:].numpy()
    parameter.copy_(original)
    assert np.abs(logits - GOLDEN["pictures"][0]["logits"]).max() > 1e-3


def test_key_map_goes_both_ways(model):
    state = model.state_dict()
    key_map = qwen_vl_key_map(model.config)
    published = key_map.to_theirs(state)
    assert {name: list(tensor.shape) for name, tensor in published.items()} == GOLDEN["weights"]
    back, left_out = key_map.to_ours(published)
    assert left_out == []
    assert set(back) == set(state)
    assert all(torch.equal(back[name], state[name]) for name in back)


def test_heads_are_interleaved(model):
    # Two heads of 16: the published rows are q, k, v of head 0, then q, k, v of head 1.
    state, block = model.state_dict(), "model.vision_encoder.tower.encoder.layers.0.self_attn"
    fused = qwen_vl_key_map(model.config).to_theirs(state)[
        "transformer.visual.transformer.resblocks.0.attn.in_proj.bias"
    ]
    by_hand = [state[f"{block}.{name}_proj.bias"][head * 16 : head * 16 + 16] for head in (0, 1) for name in "qkv"]
    assert torch.equal(fused, torch.cat(by_hand))


def test_full_size_is_the_published_one():
    # pytorch_model.bin.index.json of Qwen/Qwen-VL-Chat: total_size 19,313,870,336 bytes of bfloat16, which hold the
    # computed position table (256 x 4096) and no row for our own image token.
    model = build_meta_model("qwen-vl")
    rows = model.get_input_embeddings().weight.shape[0] - 151936
    count = sum(parameter.numel() for parameter in model.parameters())
    assert 2 * (count - 2 * rows * 4096 + 256 * 4096) == 19_313_870_336
    # arXiv:2308.12966 table 1, billions: adapter 0.08 (without the projection behind it), language model 7.7, vision
    # encoder 1.9, which is 1.84 when counted.
    encoder, connector, language_model = (
        sum(parameter.numel() for parameter in getattr(model.model, part).parameters()) / 1e9
        for part in ("vision_encoder", "connector", "language_model")
    )
    assert round(encoder, 3) == 1.843
    assert round(connector - 4096**2 / 1e9, 2) == 0.08
    assert round(language_model + 151936 * 4096 / 1e9, 1) == 7.7
    assert model.model.num_visual_tokens == 256


def test_tiny_system_sees_pictures_and_generates():
    system = build_system("qwen-vl", scale="tiny", dtype=torch.float64)
    randomise(system.model)
    sizes = (((48, 48), (64, 40)), ((40, 64),))
    batch = batch_of(system, sizes)
    settings = {"do_sample": False, "max_new_tokens": 5, "eos_token_id": None, "pad_token_id": 0}
    cached = system.model.generate(**batch, **settings)
    assert torch.equal(cached, system.model.generate(**batch, **settings, use_cache=False))
    difference = system.model(**batch).logits - system.model(**batch_of(system, sizes, seed=1)).logits
    assert float(difference.detach().abs().max()) > 1e-3
    system.model(**batch, labels=batch["input_ids"]).loss.backward()
    assert all(bool(parameter.grad.any()) for parameter in system.model.parameters())
