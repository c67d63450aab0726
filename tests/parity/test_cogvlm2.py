"""CogVLM2: the whole composition equals the published modules, and the published size is the released one."""

import json
from pathlib import Path

import pytest
import torch

from geoprose.models.backbone import GeoproseModel
from geoprose.models.config import GeoproseConfig
from geoprose.systems.build import build_meta_model
from geoprose.systems.interop.cogvlm2 import Cogvlm2Layout
from tests.parity.goldens.make_cogvlm2 import AFTER, BEFORE, TEXT, VISION
from tests.parity.goldens.seeded import seeded_tensor

GOLDEN = json.loads((Path(__file__).parent / "goldens" / "cogvlm2.json").read_text())
_MARK = 1


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


def _drawn(name: str, shape: torch.Size) -> torch.Tensor:
    """Return a published weight, drawn from its name in the modules of the maker."""
    return seeded_tensor(name.removeprefix("model."), shape)


@pytest.fixture(scope="module")
def model() -> GeoproseModel:
    built = _tiny()
    key_map = Cogvlm2Layout().key_map(built.config)
    ours = {f"model.{name}": tensor for name, tensor in built.state_dict().items()}
    published = {name: _drawn(name, tensor.shape) for name, tensor in key_map.to_theirs(ours).items()}
    state, left_out = key_map.to_ours(published)
    assert left_out == []
    built.load_state_dict({name.removeprefix("model."): tensor for name, tensor in state.items()}, strict=True)
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
