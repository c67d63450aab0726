"""Released checkpoints of systems that transformers has no class for, on tiny ones written in their layouts."""

import base64
import json

import pytest
import torch
from safetensors.torch import load_file

from geoprose.core.errors import ConfigError, ModelError, ResourceError
from geoprose.systems.load import load_system
from geoprose.systems.save import save_system
from geoprose.systems.transfer_released import import_released, released_layout
from geoprose.systems.verify import batch_of
from tests.systems.released import BESIDE, PRESETS, layout, scrambled, write_release, write_shards

SIZES = (((200, 100),),)


@pytest.fixture(scope="module", params=sorted(PRESETS))
def released(request, tmp_path_factory):
    """Name of the layout, the system it was written from, the folder, and the preset of the tiny copy as a file."""
    system = scrambled(request.param)
    root = tmp_path_factory.mktemp(request.param)
    preset = root / "tiny.yaml"
    preset.write_text(json.dumps(system.spec.model_dump(mode="json") | {"name": "tiny"}))
    return request.param, system, write_release(root / "released", request.param, system), str(preset)


@torch.no_grad()
def _logits(system, seed=0):
    return system.model(**batch_of(system, SIZES, seed)).logits


def test_a_release_comes_in_and_answers_the_same(released, tmp_path):
    name, system, folder, preset = released
    assert released_layout(folder).architecture == layout(name).architecture
    imported = import_released(folder, preset)
    assert set(imported.left_out) == set(BESIDE[name])
    state = imported.system.model.state_dict()
    assert all(torch.equal(state[key], value) for key, value in system.model.state_dict().items())
    assert torch.equal(_logits(imported.system), _logits(system))
    assert (_logits(system) - _logits(system, seed=1)).abs().max() > 1e-3
    again = load_system(save_system(imported.system, tmp_path / "ours"))
    assert torch.allclose(_logits(again), _logits(system), atol=1e-5)


def test_released_sizes_replace_those_of_the_preset(released):
    """The preset is the published one; every size of the language model comes from config.json."""
    name, system, folder, _ = released
    values = layout(name).spec_values(json.loads((folder / "config.json").read_text()))["language_model"]["config"]
    text = system.model.config.text_config
    sizes = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_key_value_heads")
    assert {size: values[size] for size in sizes} == {size: getattr(text, size) for size in sizes}


def _changed(folder, tmp_path, change):
    copy = tmp_path / "changed"
    copy.mkdir()
    for path in folder.iterdir():
        if not path.name.startswith("model"):
            (copy / path.name).write_bytes(path.read_bytes())
    state = {key: value for path in folder.glob("*.safetensors") for key, value in load_file(path).items()}
    change(state)
    write_shards(copy, state, 2)
    return copy


FUSED = {
    "cogvlm2": "model.layers.1.self_attn.vision_expert_query_key_value.weight",
    "deepseek_vl2": "language.model.layers.1.mlp.experts.2.up_proj.weight",
    "phi3_vision": "model.vision_embed_tokens.sub_GN",
    "qwen_vl": "transformer.h.1.attn.c_attn.weight",
}
"""A weight that takes another shape, or its place among others, under our names."""


def test_a_missing_weight_is_named(released, tmp_path):
    name, _, folder, preset = released
    with pytest.raises(ModelError, match=r"\d missing: "):
        import_released(_changed(folder, tmp_path, lambda state: state.pop(FUSED[name])), preset)


def test_a_weight_of_another_shape_is_named(released, tmp_path):
    name, _, folder, preset = released
    with pytest.raises(ModelError, match=r"\d mismatched: "):
        import_released(
            _changed(folder, tmp_path, lambda state: state.update({FUSED[name]: torch.zeros(5, 3)})), preset
        )


def test_unexpected_weights_are_counted(released, tmp_path):
    _, _, folder, preset = released
    strangers = {"a.stranger": torch.zeros(2), "b.stranger": torch.zeros(2)}
    with pytest.raises(ModelError, match=r"2 unexpected: a\.stranger, b\.stranger"):
        import_released(_changed(folder, tmp_path, lambda state: state.update(strangers)), preset)


def test_dtype_is_followed(released):
    _, _, folder, preset = released
    model = import_released(folder, preset, torch.bfloat16).system.model
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    system = scrambled("qwen_vl")
    root = tmp_path_factory.mktemp("qwen")
    preset = root / "tiny.yaml"
    preset.write_text(json.dumps(system.spec.model_dump(mode="json") | {"name": "tiny"}))
    return system, write_release(root / "released", "qwen_vl", system), str(preset)


def test_pickled_shards_are_read(qwen, tmp_path):
    """Qwen-VL was released so."""
    system, folder, preset = qwen
    copy = _changed(folder, tmp_path, lambda state: None)
    for path in copy.glob("*.safetensors"):
        torch.save(load_file(path), copy / f"pytorch_{path.stem}.bin")
        path.unlink()
    (copy / "model.safetensors.index.json").unlink()
    assert torch.equal(_logits(import_released(copy, preset).system), _logits(system))


def test_a_missing_shard_is_named(qwen, tmp_path):
    _, folder, preset = qwen
    copy = _changed(folder, tmp_path, lambda state: None)
    (copy / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(ResourceError, match=r"00002-of-00002[.]safetensors is missing"):
        import_released(copy, preset)


def test_a_shard_outside_the_folder_is_refused(qwen, tmp_path):
    _, folder, preset = qwen
    copy = _changed(folder, tmp_path, lambda state: None)
    (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../a.safetensors"}}))
    with pytest.raises(ModelError, match="outside the folder"):
        import_released(copy, preset)


def test_a_corrupt_shard_is_named(qwen, tmp_path):
    _, folder, preset = qwen
    copy = _changed(folder, tmp_path, lambda state: None)
    (copy / "model-00002-of-00002.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ModelError, match=r"00002-of-00002[.]safetensors is corrupt"):
        import_released(copy, preset)


def test_a_release_without_a_fast_tokenizer_needs_one(qwen, tmp_path):
    system, folder, preset = qwen
    copy = _changed(folder, tmp_path, lambda state: None)
    for path in copy.glob("*token*"):
        path.unlink()
    with pytest.raises(ResourceError, match="--tokenizer"):
        import_released(copy, preset)
    imported = import_released(copy, preset, tokenizer_dir=folder)
    assert torch.equal(_logits(imported.system), _logits(system))


def test_the_vocabulary_file_of_qwen_is_read(qwen, tmp_path):
    """Its marks are single tokens, and the table grows to hold them."""
    _, folder, preset = qwen
    copy = _changed(folder, tmp_path, lambda state: None)
    for path in copy.glob("*token*"):
        path.unlink()
    lines = [f"{base64.b64encode(bytes([value])).decode()} {value}" for value in range(256)]
    (copy / "qwen.tiktoken").write_text("\n".join(lines))
    system = import_released(copy, preset).system
    assert system.model.config.image_token_id == 256 + 216
    assert len(system.model.lm_head.weight) >= len(system.processor.tokenizer) > 320
    again = load_system(save_system(system, tmp_path / "ours"))
    assert torch.equal(_logits(again), _logits(system))


def test_a_vocabulary_without_the_image_token_grows(qwen, tmp_path):
    """Rows that the release lacks are the mean of those it has."""
    system, folder, preset = qwen

    def cut(state):
        for name in ("transformer.wte.weight", "lm_head.weight"):
            state[name] = state[name][:262].clone()

    copy = _changed(folder, tmp_path, cut)
    values = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**values, "vocab_size": 262}))
    table = import_released(copy, preset).system.model.get_input_embeddings().weight
    ours = system.model.get_input_embeddings().weight[:262]
    assert len(system.processor.tokenizer) > 262
    assert table.shape == (320, 32)
    assert torch.equal(table[:262], ours)
    assert torch.allclose(table[262:], ours.mean(0).expand(58, -1))


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("qwen_vl", {"visual": None}, "reads text only"),
        ("cogvlm2", {"num_multi_query_heads": None}, "first CogVLM"),
        ("cogvlm2", {"vision_config": {}}, "lacks 'num_heads'"),
        ("phi3_vision", {"embd_layer": {"hd_transform_order": "glb_sub"}}, "hd_transform_order is 'glb_sub'"),
        ("deepseek_vl2", {"language_config": {"use_mla": False}}, "use_mla is False"),
        ("deepseek_vl2", {"language_config": {"topk_method": "noaux_tc"}}, "topk_method is 'noaux_tc'"),
        ("deepseek_vl2", {"candidate_resolutions": [[64, 64], [192, 64]]}, "not all grids"),
    ],
)
def test_other_variants_are_refused(name, change, said, tmp_path):
    system = scrambled(name)
    folder = write_release(tmp_path / "released", name, system)
    values = {**json.loads((folder / "config.json").read_text()), **change}
    (folder / "config.json").write_text(json.dumps({key: value for key, value in values.items() if value is not None}))
    with pytest.raises(ConfigError, match=said):
        import_released(folder)


def test_word_vectors_may_lie_under_their_second_name(tmp_path):
    system = scrambled("phi3_vision")
    folder = write_release(tmp_path / "released", "phi3_vision", system)
    preset = tmp_path / "tiny.yaml"
    preset.write_text(json.dumps(system.spec.model_dump(mode="json") | {"name": "tiny"}))

    def renamed(state):
        state["model.vision_embed_tokens.wte.weight"] = state.pop("model.embed_tokens.weight")

    imported = import_released(_changed(folder, tmp_path, renamed), str(preset))
    assert torch.equal(_logits(imported.system), _logits(system))


def test_other_folders_have_no_released_layout(tmp_path):
    assert released_layout(tmp_path) is None
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["LlavaForConditionalGeneration"]}))
    assert released_layout(tmp_path) is None
    with pytest.raises(ConfigError, match="Known: CogVLMForCausalLM"):
        import_released(tmp_path)
