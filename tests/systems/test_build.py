import json
import time

import pytest
import torch
from transformers import AutoModelForImageTextToText, CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM

from geoprose.core.errors import ConfigError, ModelError, ResourceError
from geoprose.models.parts.encoders.position_table import resize_position_table
from geoprose.systems.batch import prepare_batch
from geoprose.systems.build import build_meta_model, build_system
from geoprose.systems.presets import load_preset
from geoprose.systems.pretrained import load_encoder
from geoprose.systems.tiny import tiny_tokenizer
from tests.fixtures.systems import PRESETS, conversation, picture

# CLIP ViT-L/14 vision tower and Vicuna 7B, published sizes; the vocabulary grows from 32000 to 32064 rows.
PUBLISHED_PARAMETERS = {"llava-1.5": 303_507_456 + 20_979_712 + 6_738_415_616 + 2 * 64 * 4096}


@pytest.mark.parametrize("preset", PRESETS)
def test_tiny_builds_in_a_second_with_the_same_parts(preset):
    build_system(preset, scale="tiny")
    start = time.process_time()
    system = build_system(preset, scale="tiny")
    assert time.process_time() - start < 1
    full = load_preset(preset)
    slots = {key: value for key, value in full.slots().items() if key != "resolution"}
    assert {key: value for key, value in system.spec.slots().items() if key != "resolution"} == slots
    assert system.spec.prompt == full.prompt
    assert system.model.num_parameters() < 1_000_000
    assert system.processor.num_visual_tokens == system.model.model.num_visual_tokens
    assert system.spec.num_visual_tokens() in (None, system.processor.num_visual_tokens)
    assert system.model.get_output_embeddings().weight.shape[0] % 64 == 0


@pytest.mark.parametrize("preset", PRESETS)
def test_tiny_answers(preset):
    system = build_system(preset, scale="tiny")
    batch = prepare_batch(system, [([picture(0)], "Where?")])
    assert system.model.generate(**batch, max_new_tokens=3).shape[1] > batch["input_ids"].shape[1]
    stop = system.spec.prompt.assistant_stop
    assert system.model.generation_config.eos_token_id == system.processor.tokenizer.convert_tokens_to_ids(stop)


@pytest.mark.parametrize("preset", PRESETS)
def test_full_size_builds_without_memory(preset):
    model = build_meta_model(preset)
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    assert load_preset(preset).num_visual_tokens() in (None, model.model.num_visual_tokens)
    if preset in PUBLISHED_PARAMETERS:
        assert model.num_parameters() == PUBLISHED_PARAMETERS[preset]


def test_building_is_deterministic_and_leaves_the_global_seed():
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    one, two, other = (build_system("demo", scale="tiny", seed=seed).model.state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert not torch.equal(one["model.connector.layers.0.weight"], other["model.connector.layers.0.weight"])


def test_output_norm_starts_at_the_scale_of_the_word_embeddings():
    system = build_system("demo", scale="tiny")
    weight = system.model.model.connector.output_norm.weight
    std = system.model.get_input_embeddings().weight.detach().std()
    torch.testing.assert_close(weight.detach(), torch.full_like(weight, float(std)))


@pytest.fixture
def parts(tmp_path):
    """Pretrained parts in transformers folders, and overrides of geochat that use them."""
    torch.manual_seed(0)
    tower = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
    vision = CLIPVisionModel(CLIPVisionConfig(**tower, patch_size=14, image_size=42, projection_dim=16))
    decoder = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    language = LlamaForCausalLM(LlamaConfig(**decoder, num_key_value_heads=2, vocab_size=261, rms_norm_eps=1e-5))
    vision.save_pretrained(tmp_path / "vision")
    language.save_pretrained(tmp_path / "language")
    tiny_tokenizer().save_pretrained(tmp_path / "language")
    values = {
        "resolution.image_size": 56,
        "vision_encoder.config": {**tower, "patch_size": 14, "projection_dim": 16},
        "vision_encoder.weights": {"path": str(tmp_path / "vision")},
        "language_model.config": {**decoder, "num_key_value_heads": 2, "vocab_size": 261, "rms_norm_eps": 1e-5},
        "language_model.weights": {"path": str(tmp_path / "language")},
    }
    return tmp_path, vision, language, [f"{key}={json.dumps(value)}" for key, value in values.items()]


def test_pretrained_parts_arrive_whole(parts):
    _, vision, language, overrides = parts
    system = build_system(load_preset("geochat", overrides))
    ours = system.model.state_dict()
    for name, value in vision.state_dict().items():
        expected = value
        if name == "embeddings.position_embedding.weight":
            expected = resize_position_table(value, 1, 4, "bicubic", align_corners=True)
            assert expected.shape[0] == 17
        assert torch.equal(ours[f"model.vision_encoder.tower.{name}"], expected), name
    for name, value in language.state_dict().items():
        mine = ours[name.replace("model.", "model.language_model.", 1) if name.startswith("model.") else name]
        assert torch.equal(mine[: value.shape[0]], value), name
        if mine.shape != value.shape:
            assert mine.shape[0] == 320
            torch.testing.assert_close(mine[-1], value.mean(0))
    assert (
        system.processor.encode_conversation(conversation(), [16]).input_ids.count(system.model.config.image_token_id)
        == 16
    )


@pytest.fixture
def nan_memory(monkeypatch):
    """Let every tensor that torch does not fill be full of NaN."""
    was_deterministic = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    monkeypatch.setattr("torch.utils.deterministic.fill_uninitialized_memory", True)
    yield
    torch.use_deterministic_algorithms(was_deterministic)


FRESH_PARTS = {
    "nothing more": [],
    "gated cross-attention": ['packer={"type": "media"}', 'fusion={"type": "gated_cross_attention", "every": 1}'],
    "visual expert": ['fusion={"type": "visual_expert"}'],
    "experts": ['fusion={"type": "modality_moe", "routing": "soft", "num_experts": 2}'],
}


@pytest.mark.parametrize("overrides", FRESH_PARTS.values(), ids=FRESH_PARTS)
@pytest.mark.usefixtures("nan_memory")
def test_what_no_pretrained_weights_fill_is_drawn(parts, overrides):
    assert torch.empty(2).isnan().all(), "or the fixture does nothing"
    model = build_system(load_preset("geochat", [*parts[3], *overrides])).model
    assert [name for name, weight in model.state_dict().items() if not weight.isfinite().all()] == []


def test_an_encoder_whose_config_writes_both_sides_of_a_patch_comes_back(tmp_path):
    system = build_system("internvl-2.5", scale="tiny")
    encoder = system.model.model.vision_encoder
    encoder.tower.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["patch_size"] == [14, 14]
    other = build_system("internvl-2.5", scale="tiny", seed=1).model.model.vision_encoder
    load_encoder(other, system.spec.vision_encoder, tmp_path, "vision_encoder")
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in encoder.state_dict().items())


@pytest.mark.parametrize(
    ("preset", "why"),
    [
        ("deepseek-vl-hybrid", "tower alone .* reads several towers"),
        ("cogvlm2", "no class for eva2_clip alone"),
        ("fuyu", "no class for patch_linear alone"),
    ],
)
def test_an_encoder_that_no_folder_fills_is_refused(preset, why, tmp_path):
    system = build_system(preset, scale="tiny")
    with pytest.raises(ModelError, match=why):
        load_encoder(system.model.model.vision_encoder, system.spec.vision_encoder, tmp_path, "vision_encoder")


def test_missing_weights_cost_no_build(parts):
    _, _, _, overrides = parts
    with pytest.raises(ResourceError, match="no transformers folder"):
        build_system(load_preset("geochat", [*overrides, "vision_encoder.weights.path=/nowhere"]))
    with pytest.raises(ConfigError, match="Unknown weights asset"):
        build_system(load_preset("demo", ["language_model.weights.asset=smollm3"]))
    with pytest.raises(ConfigError, match="Unknown scale"):
        build_system("demo", scale="small")


def test_hub_weights_that_cannot_be_had_say_what_to_do():
    with pytest.raises(ResourceError, match="model hub, which cannot be had here"):
        build_system("llava-1.5")


def test_weights_of_another_model_are_refused(parts):
    folder, vision, _, overrides = parts
    with pytest.raises(ModelError, match="rms_norm_eps is 1e-05, the preset says 1e-06"):
        build_system(load_preset("geochat", [*overrides, "language_model.config.rms_norm_eps=0.000001"]))
    state = vision.state_dict()
    del state["encoder.layers.1.mlp.fc1.weight"]
    vision.save_pretrained(folder / "vision", state_dict=state)
    with pytest.raises(ModelError, match=r"lacks \['encoder.layers.1.mlp.fc1.weight'\]"):
        build_system(load_preset("geochat", overrides))
    (folder / "vision" / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(ModelError, match="cannot be loaded as safetensors"):
        build_system(load_preset("geochat", overrides))


def test_auto_classes_know_the_composite():
    system = build_system("demo", scale="tiny")
    again = AutoModelForImageTextToText.from_config(system.model.config)
    assert type(again) is type(system.model)
    assert again.state_dict().keys() == system.model.state_dict().keys()
