"""Checkpoints in open_clip's layout: our dual encoder computes what open_clip.CLIP computed (stored outputs)."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from geoprose.core.errors import ConfigError, ModelError, ResourceError
from geoprose.models.dual.config import DualEncoderConfig
from geoprose.models.dual.model import GeoproseDualEncoder
from geoprose.systems.build import build_meta_model
from geoprose.systems.dual_encoder import load_dual_weights
from geoprose.systems.interop.open_clip import OpenClipReference
from geoprose.systems.presets import load_preset
from tests.parity.goldens.make_open_clip import TEXT, TOKENS, VISION
from tests.parity.goldens.seeded import seeded_tensor

GOLDEN = json.loads((Path(__file__).parent / "goldens" / "open_clip.json").read_text())
TOLERANCE = 1e-12  # both in float64, measured 4e-16
NOT_EOT = 0  # the stored class pools at the highest token id, ours at the first end-of-text token: the same here


def _model(activation):
    shared = {"num_hidden_layers": 2, "hidden_size": 16, "intermediate_size": 64, "num_attention_heads": 2}
    vision = {"model_type": "clip_vision_model", **shared, "image_size": 32, "patch_size": VISION["patch_size"]}
    text = {"model_type": "clip_text_model", **shared, "vocab_size": TEXT["vocab_size"], "max_position_embeddings": 9}
    ids = {"bos_token_id": 38, "eos_token_id": 39, "pad_token_id": NOT_EOT}
    config = DualEncoderConfig(
        vision_config={**vision, "hidden_act": activation},
        text_config={**text, **ids, "hidden_act": activation},
        projection={"dim": 12},
    )
    return GeoproseDualEncoder(config).double().eval()


def _published_state(model):
    """Weights under open_clip's names and shapes, drawn from the names as the stored outputs' were."""
    layout = OpenClipReference().key_map(model.config).to_theirs(model.state_dict())
    return {name: seeded_tensor(name, value.shape) for name, value in layout.items()}


@pytest.fixture(params=["gelu", "quick_gelu"])
def loaded(request):
    model = _model(request.param)
    state, left_out = OpenClipReference().key_map(model.config).to_ours(_published_state(model))
    assert left_out == []
    model.load_state_dict(state, strict=True)
    return request.param, model


def _differences(model, golden):
    with torch.no_grad():
        output = model(pixel_values=seeded_tensor("pixels", (2, 3, 32, 32)), input_ids=torch.tensor(TOKENS))
    names = ("image_embeds", "text_embeds")
    return [
        float((getattr(output, name) - torch.tensor(golden[name], dtype=torch.float64)).abs().max()) for name in names
    ], output


def test_embeddings_are_those_of_open_clip(loaded):
    activation, model = loaded
    differences, output = _differences(model, GOLDEN[activation])
    assert max(differences) < TOLERANCE
    images, texts = (
        torch.tensor(GOLDEN[activation][name], dtype=torch.float64) for name in ("image_embeds", "text_embeds")
    )
    assert (output.logits_per_image - GOLDEN[activation]["scale"] * images @ texts.T).abs().max() < TOLERANCE


def test_negative_controls_are_noticed(loaded):
    activation, model = loaded
    other = GOLDEN["quick_gelu" if activation == "gelu" else "gelu"]
    assert min(_differences(model, other)[0]) > 1e-4
    with torch.no_grad():
        for tower in (model.vision, model.text):
            attention = tower.model.encoder.layers[0].self_attn
            query, key = attention.q_proj.weight, attention.k_proj.weight
            exchanged = query.clone()
            query.copy_(key)
            key.copy_(exchanged * 2)
    assert min(_differences(model, GOLDEN[activation])[0]) > 1e-4


@pytest.mark.parametrize("preset", ["georsclip", "remoteclip"])
def test_presets_know_the_layout_and_every_weight_has_a_name(preset):
    spec, model = load_preset(preset), build_meta_model(preset)
    assert spec.weights_layout == "open_clip"
    theirs = OpenClipReference().key_map(model.config).to_theirs(model.state_dict())
    width = spec.vision_encoder.config["hidden_size"]
    assert theirs["visual.transformer.resblocks.11.attn.in_proj_weight"].shape == (3 * width, width)
    assert theirs["visual.proj"].shape == (width, spec.projection.dim)
    assert sum(value.numel() for value in theirs.values()) == model.num_parameters()


def test_activations_are_those_of_the_published_loading_code():
    assert load_preset("georsclip").vision_encoder.config["hidden_act"] == "quick_gelu"
    assert load_preset("remoteclip").vision_encoder.config["hidden_act"] == "gelu"


def test_a_checkpoint_file_is_loaded_or_refused(tmp_path):
    model = _model("gelu")
    spec = load_preset("remoteclip", [f"weights={{path: {tmp_path}}}"])
    with pytest.raises(ResourceError, match="0 safetensors files"):
        load_dual_weights(model, spec)
    state = {name: value.contiguous() for name, value in _published_state(model).items()}
    save_file({**state, "attn_mask": torch.zeros(9, 9)}, tmp_path / "open_clip_model.safetensors")
    load_dual_weights(model, spec)
    assert max(_differences(model, GOLDEN["gelu"])[0]) < TOLERANCE
    del state["visual.proj"]
    save_file(state, tmp_path / "open_clip_model.safetensors")
    with pytest.raises(ModelError, match="vision_projection"):
        load_dual_weights(model, spec)
    save_file({**state, "visual.extra": torch.zeros(1)}, tmp_path / "open_clip_model.safetensors")
    with pytest.raises(ModelError, match=r"visual\.extra"):
        load_dual_weights(model, spec)
    with pytest.raises(ConfigError, match="no class of transformers"):
        OpenClipReference().config(model.config)
