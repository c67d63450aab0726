"""CogVLM2: the whole composition equals the published modules, and the published size is the released one."""

import json
from pathlib import Path

import pytest
import torch

from geoprose.models.backbone import GeoproseModel
from geoprose.models.config import GeoproseConfig
from geoprose.systems.build import build_meta_model
from tests.parity.goldens.make_cogvlm2 import AFTER, BEFORE, TEXT, VISION
from tests.parity.goldens.seeded import seeded_tensor

GOLDEN = json.loads((Path(__file__).parent / "goldens" / "cogvlm2.json").read_text())
_MARK = 1
_EYE = {
    "patch_embedding.": "patch_embedding.proj.",
    "class_embedding": "patch_embedding.cls_embedding",
    "position_embedding": "patch_embedding.position_embedding",
    "layers.": "transformer.layers.",
    ".qkv.": ".attention.query_key_value.",
    ".proj.": ".attention.dense.",
    ".fc": ".mlp.fc",
    ".attention_norm.": ".input_layernorm.",
    ".feed_forward_norm.": ".post_attention_layernorm.",
}
_CONNECTOR = {
    "linear.": "linear_proj.linear_proj.",
    "norm.": "linear_proj.norm1.",
    "gate_proj": "linear_proj.gate_proj",
    "up_proj": "linear_proj.dense_h_to_4h",
    "down_proj": "linear_proj.dense_4h_to_h",
    "start_token": "boi",
    "end_token": "eoi",
    "conv.": "conv.",
}
_QKV = (32, 16, 16)


def _tiny() -> GeoproseModel:
    tower = {
        "model_type": "clip_vision_model",
        **{name: VISION[name] for name in ("hidden_size", "intermediate_size", "num_hidden_layers", "patch_size")},
        **{"num_attention_heads": VISION["num_heads"], "image_size": 16, "hidden_act": "gelu", "layer_norm_eps": 1e-6},
    }
    shared = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    language = {
        "model_type": "llama",
        **{name: TEXT[name] for name in shared},
        **{"num_key_value_heads": 2, "rms_norm_eps": 1e-5, "pad_token_id": 0},
        "rope_parameters": {"rope_type": "default", "rope_theta": 500000.0},
    }
    config = GeoproseConfig(
        vision_config=tower, text_config=language, vision_encoder={"type": "eva2_clip"},
        connector={"type": "conv_glu", "hidden_size": TEXT["intermediate_size"]},
        fusion={"type": "visual_expert", "qkv_bias": True}, position={"type": "shared", "num_end_tokens": 1},
        image_token_id=_MARK,
    )  # fmt: skip
    return GeoproseModel(config).double().eval()


def _renamed(name: str, names: dict[str, str]) -> str:
    for own, their in names.items():
        if own in name and not (own == "patch_embedding." and ".proj." in name):
            name = name.replace(own, their, 1)
            if own in ("class_embedding", "position_embedding", "patch_embedding."):
                break
    return name


def _published(name: str, shape: torch.Size) -> torch.Tensor:
    """Return the weight of ours that is called so, drawn from its published name."""
    if name.startswith("vision_encoder.tower."):
        return seeded_tensor("vision." + _renamed(name.removeprefix("vision_encoder.tower."), _EYE), shape)
    if name.startswith("connector."):
        own = name.removeprefix("connector.")
        their = next(own.replace(key, value, 1) for key, value in _CONNECTOR.items() if own.startswith(key))
        return seeded_tensor("vision." + their, (1, 1, *shape) if "_token" in own else shape).reshape(shape)
    name = name.removeprefix("language_model.").removeprefix("fusion.")
    if not name.startswith("layers."):
        return seeded_tensor(name, shape)
    layer, part, rest = name.split(".", 3)[1], name.split(".", 3)[2], name.split(".", 3)[3]
    if part in ("input_layernorm", "post_attention_layernorm"):
        return seeded_tensor(f"layers.{layer}.{part}.{rest}", shape)
    kind = "vision" if part in ("attention", "feed_forward") else "language"
    if part in ("mlp", "feed_forward"):
        return seeded_tensor(f"layers.{layer}.mlp.{kind}_mlp.{rest}", shape)
    linear, leaf = rest.split(".")
    if linear == "o_proj":
        return seeded_tensor(f"layers.{layer}.self_attn.{kind}_expert_dense.{leaf}", shape)
    whole = seeded_tensor(f"layers.{layer}.self_attn.{kind}_expert_query_key_value.{leaf}", (sum(_QKV), *shape[1:]))
    return whole.split(_QKV)[("q_proj", "k_proj", "v_proj").index(linear)]


@pytest.fixture(scope="module")
def model() -> GeoproseModel:
    built = _tiny()
    with torch.no_grad():
        for name, parameter in built.named_parameters():
            parameter.copy_(_published(name, parameter.shape))
    return built


def _inputs() -> dict[str, torch.Tensor]:
    ids = torch.tensor([BEFORE + [_MARK] * len(GOLDEN["tokens"]) + AFTER])
    return {"input_ids": ids, "pixel_values": seeded_tensor("pixels", (1, 3, 16, 16), std=1.0)}


@torch.no_grad()
def test_tokens_of_a_picture_are_the_published_ones(model):
    tokens = model.get_image_features(_inputs()["pixel_values"]).pooler_output[0]
    assert torch.allclose(tokens, torch.tensor(GOLDEN["tokens"], dtype=torch.float64), atol=1e-10)


@torch.no_grad()
def test_hidden_states_are_the_published_ones(model):
    """Llama's norm and rotation compute in float32, and so does the published norm."""
    hidden = model(**_inputs()).last_hidden_state[0]
    assert (hidden - torch.tensor(GOLDEN["hidden"], dtype=torch.float64)).abs().max() < 1e-5


@torch.no_grad()
def test_control_the_last_visual_token_with_the_expert_gives_other_numbers(model, monkeypatch):
    monkeypatch.setattr("geoprose.models.parts.fusions.visual_expert.expert_tokens", lambda is_visual: is_visual)
    hidden = model(**_inputs()).last_hidden_state[0]
    assert (hidden - torch.tensor(GOLDEN["hidden"], dtype=torch.float64)).abs().max() > 1e-3


@torch.no_grad()
def test_cached_steps_equal_one_pass(model):
    inputs = _inputs()
    whole = model(**inputs, use_cache=False, attention_mask=torch.ones_like(inputs["input_ids"])).last_hidden_state
    first = model(inputs["input_ids"][:, :-2], pixel_values=inputs["pixel_values"], use_cache=True)
    steps = [first.last_hidden_state]
    for place in (-2, -1):
        token = inputs["input_ids"][:, place:][:, :1]
        steps.append(model(token, past_key_values=first.past_key_values, use_cache=True).last_hidden_state)
    assert torch.allclose(torch.cat(steps, 1), whole, atol=1e-6)


def test_published_size():
    """As many parameters as the released index counts: 39006214656 bytes of bfloat16, less 32 tables of 64 angles."""
    whole = build_meta_model("cogvlm2")
    added_rows = whole.config.get_text_config().vocab_size - 128256
    count = sum(p.numel() for p in whole.parameters()) - 2 * added_rows * 4096
    assert count == 39_006_214_656 // 2 - 32 * 64 == 19_503_105_280
    assert whole.model.num_visual_tokens == 2306
