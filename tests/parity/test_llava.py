"""LLaVA-1.5 equals transformers' own class in float64 with random weights; LLaVA v1 equals a computation by hand."""

import pytest
import torch
from transformers import LlavaConfig, LlavaForConditionalGeneration

from geoprose.systems.load import load_system
from geoprose.systems.save import save_system
from tests.fixtures.systems import pixels_of, prompt_ids, tiny_system

TOLERANCE = (
    1e-5  # RMSNorm and RoPE upcast to float32 in both; measured difference 0, trap 16 of transformers 5.23: 3e-6
)
RENAMED = {
    "model.vision_encoder.tower.": "model.vision_tower.",
    "model.connector.layers.0.": "model.multi_modal_projector.linear_1.",
    "model.connector.layers.2.": "model.multi_modal_projector.linear_2.",
}


def _their_name(name: str) -> str:
    for ours, theirs in RENAMED.items():
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    return name


@pytest.fixture(scope="module")
def system():
    return tiny_system("llava-1.5")


@pytest.fixture(scope="module")
def inputs(system):
    ids = prompt_ids(system, images=2)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "pixel_values": pixels_of(system, 0, 1)}


@pytest.fixture(scope="module")
def theirs(system):
    ours = system.model.config
    config = LlavaConfig(
        vision_config=ours.vision_config.to_dict(),
        text_config=ours.text_config.to_dict(),
        image_token_index=ours.image_token_id,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        projector_hidden_act="gelu",
        attn_implementation=ours._attn_implementation,
    )
    model = LlavaForConditionalGeneration(config).double().eval()
    state = {_their_name(name): value for name, value in system.model.state_dict().items()}
    model.load_state_dict(state, strict=True)
    assert (
        model.config.text_config._attn_implementation == system.model.model.language_model.config._attn_implementation
    )
    return model


def _difference(ours, theirs, inputs) -> float:
    with torch.no_grad():
        return float((ours(**inputs).logits - theirs(**inputs).logits).abs().max())


def test_logits_are_equal(system, theirs, inputs):
    assert _difference(system.model, theirs, inputs) < TOLERANCE


def test_greedy_tokens_are_identical(system, theirs, inputs):
    settings = {"do_sample": False, "max_new_tokens": 12, "eos_token_id": None, "pad_token_id": 0}
    suppressed = system.model.generation_config.suppress_tokens
    ours = system.model.generate(**inputs, **settings)
    assert torch.equal(ours, theirs.generate(**inputs, **settings, suppress_tokens=suppressed))
    assert len(set(ours[0, inputs["input_ids"].shape[1] :].tolist())) > 1


def test_both_see_the_pictures_and_their_order(system, theirs, inputs):
    swapped = {**inputs, "pixel_values": inputs["pixel_values"].flip(0)}
    for model in (system.model, theirs):
        with torch.no_grad():
            assert (model(**inputs).logits - model(**swapped).logits).abs().max() > 1e-2


def test_save_and_load_change_nothing(system, theirs, inputs, tmp_path):
    loaded = load_system(save_system(system, tmp_path / "llava"))
    assert _difference(loaded.model, theirs, inputs) < TOLERANCE
    for name, value in system.model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], value), name


@pytest.mark.parametrize(
    "name",
    [
        "model.connector.layers.2.weight",
        "model.vision_encoder.tower.encoder.layers.1.mlp.fc1.weight",
        "model.language_model.layers.1.self_attn.q_proj.weight",
    ],
)
def test_negative_control_one_permuted_weight_is_noticed(system, theirs, inputs, name):
    weight = system.model.get_parameter(name)
    original = weight.detach().clone()
    with torch.no_grad():
        weight.copy_(original.flip(0))
    try:
        assert _difference(system.model, theirs, inputs) > 100 * TOLERANCE
    finally:
        with torch.no_grad():
            weight.copy_(original)
    assert _difference(system.model, theirs, inputs) < TOLERANCE


def test_llava_v1_by_hand():
    system = tiny_system("llava-v1")
    ids, pixels = prompt_ids(system), pixels_of(system, 3)
    model = system.model
    state = model.state_dict()
    tower = model.model.vision_encoder.tower
    patches = tower(pixels, output_hidden_states=True).hidden_states[-2][:, 1:]
    weight, bias = state["model.connector.layers.0.weight"], state["model.connector.layers.0.bias"]
    visual = torch.einsum("npe,de->npd", patches, weight) + bias
    embeds = state["model.language_model.embed_tokens.weight"][ids[0]].clone()
    first = ids[0].tolist().index(model.config.image_token_id)
    embeds[first : first + 16] = visual[0]
    hidden = model.model.language_model(inputs_embeds=embeds[None]).last_hidden_state
    expected = hidden @ state["lm_head.weight"].T
    assert (model(input_ids=ids, pixel_values=pixels).logits - expected).abs().max() < TOLERANCE
    assert [name for name in state if name.startswith("model.connector")] == [
        "model.connector.layers.0.weight",
        "model.connector.layers.0.bias",
    ]
