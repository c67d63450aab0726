"""Released checkpoints in and out, on tiny ones made here."""

import json
import pickle

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, CLIPVisionModel

from geoprose.core.errors import ConfigError, ModelError, ResourceError
from geoprose.systems.interop import REFERENCES
from geoprose.systems.load import load_system
from geoprose.systems.presets import list_presets, load_preset
from geoprose.systems.save import save_system
from geoprose.systems.transfer import export_checkpoint, import_checkpoint
from geoprose.systems.transfer_llava import KEY_MAP, import_llava_layout, is_llava_layout
from geoprose.systems.verify import batch_of, scrambled_system

SIZES = (((48, 48),),)
REFERENCED = [
    name
    for name in list_presets()
    if (known := load_preset(name).reference) and hasattr(transformers, REFERENCES.get(known).architecture)
]


@pytest.fixture(scope="module")
def system():
    built = scrambled_system("llava-1.5")
    built.model.float()
    return built


@pytest.fixture(scope="module")
def exported(system, tmp_path_factory):
    return export_checkpoint(system, tmp_path_factory.mktemp("released") / "llava")


@pytest.fixture(scope="module")
def tiny_preset(system, tmp_path_factory):
    """The preset of the tiny checkpoint, as a file."""
    path = tmp_path_factory.mktemp("preset") / "tiny-llava.yaml"
    path.write_text(json.dumps(system.spec.model_dump(mode="json") | {"name": "tiny-llava"}))
    return str(path)


@torch.no_grad()
def _logits(system):
    return system.model(**batch_of(system, SIZES)).logits


def test_transformers_reads_what_we_export(system, exported):
    theirs = AutoModelForImageTextToText.from_pretrained(exported, dtype=torch.float32)
    assert type(theirs).__name__ == "LlavaForConditionalGeneration"
    batch = {name: value for name, value in batch_of(system, SIZES).items() if name != "visual_layouts"}
    with torch.no_grad():
        assert (theirs(**batch).logits - _logits(system)).abs().max() < 1e-5


def test_a_released_checkpoint_comes_back_exactly(system, exported, tiny_preset, tmp_path):
    imported = import_checkpoint(exported, tiny_preset)
    assert imported.left_out == ()
    for name, value in system.model.state_dict().items():
        assert torch.equal(imported.system.model.state_dict()[name], value), name
    again = load_system(save_system(imported.system, tmp_path / "ours"))
    assert torch.equal(_logits(again), _logits(imported.system))


@pytest.mark.parametrize("preset", REFERENCED)
def test_every_published_layout_goes_out_and_comes_back(preset, tmp_path):
    system = scrambled_system(preset)
    system.model.float()
    folder = export_checkpoint(system, tmp_path / "released")
    path = tmp_path / "tiny.yaml"
    path.write_text(json.dumps(system.spec.model_dump(mode="json") | {"name": "tiny"}))
    imported = import_checkpoint(folder, str(path))
    for name, value in system.model.state_dict().items():
        assert torch.equal(imported.system.model.state_dict()[name], value), name


@pytest.mark.parametrize("preset", ["blip2-opt", "instructblip-t5"])
def test_tied_tables_and_heads_of_their_own_come_back(preset, tmp_path):
    """OPT's head is its embedding; Flan-T5 has a head of its own beside three tables that are one."""
    built = scrambled_system(preset)
    path = tmp_path / "tiny.yaml"
    path.write_text(json.dumps(built.spec.model_dump(mode="json") | {"name": "tiny"}))
    imported = import_checkpoint(export_checkpoint(built, tmp_path / "released"), str(path)).system
    assert type(imported.model) is type(built.model)
    assert all(
        torch.equal(imported.model.state_dict()[name], value) for name, value in built.model.state_dict().items()
    )


def test_shards_are_read(system, exported, tiny_preset, tmp_path):
    theirs = AutoModelForImageTextToText.from_pretrained(exported, dtype=torch.float32)
    theirs.save_pretrained(tmp_path / "sharded", max_shard_size="60KB")
    system.processor.tokenizer.save_pretrained(tmp_path / "sharded")
    assert len(list((tmp_path / "sharded").glob("*.safetensors"))) > 2
    imported = import_checkpoint(tmp_path / "sharded", tiny_preset)
    for name, value in system.model.state_dict().items():
        assert torch.equal(imported.system.model.state_dict()[name], value), name


def test_dtype_is_followed(exported, tiny_preset):
    assert import_checkpoint(exported, tiny_preset, torch.bfloat16).system.model.dtype == torch.bfloat16


def test_several_presets_ask_for_a_name(exported):
    with pytest.raises(ConfigError, match="Several presets are a LlavaForConditionalGeneration: geochat"):
        import_checkpoint(exported)


def test_a_system_without_a_class_is_not_exported(tmp_path):
    with pytest.raises(ConfigError, match="has no class in transformers"):
        export_checkpoint(scrambled_system("demo"), tmp_path / "out")


def test_export_leaves_other_folders_alone(system, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="not empty"):
        export_checkpoint(system, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def _damaged(exported, tmp_path, change):
    folder = tmp_path / "damaged"
    folder.mkdir()
    for path in exported.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _first(state, word):
    return next(name for name in sorted(state) if word in name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state.pop(_first(state, "linear_1.weight")), "1 missing: .*linear_1.weight"),
        (lambda state: state.update(stranger=torch.zeros(2)), "1 unexpected: stranger"),
        (
            lambda state: state.update({_first(state, "linear_1.weight"): torch.zeros(3, 3)}),
            "(1 mismatched: .*linear_1.weight|linear_1.weight.*size mismatch|ignore_mismatched)",
        ),
    ],
)
def test_partial_and_strange_checkpoints_are_refused(exported, tiny_preset, tmp_path, change, said):
    with pytest.raises(ModelError, match=said):
        import_checkpoint(_damaged(exported, tmp_path, change), tiny_preset)


def test_missing_and_foreign_folders(tmp_path, tiny_preset):
    with pytest.raises(ResourceError, match=r"config\.json is missing"):
        import_checkpoint(tmp_path, tiny_preset)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "nothing-known"}))
    with pytest.raises(ModelError, match="not a config that transformers knows"):
        import_checkpoint(tmp_path, tiny_preset)


@pytest.fixture
def original(system, tmp_path):
    """The same weights in the layout of the LLaVA repository: pickled language model, projector apart, tower apart."""
    folder, tower = tmp_path / "original", tmp_path / "clip"
    folder.mkdir()
    state = KEY_MAP.to_theirs(system.model.state_dict())
    projector = {name: value for name, value in state.items() if "mm_projector" in name}
    language = {name: value for name, value in state.items() if "mm_" not in name and "vision_tower" not in name}
    torch.save(language, folder / "pytorch_model-00001-of-00001.bin")
    torch.save(projector, folder / "mm_projector.bin")
    text = system.spec.language_model.config
    values = {"model_type": "geochat", "mm_vision_tower": "openai/clip", "mm_projector_type": "mlp2x_gelu"}
    (folder / "config.json").write_text(json.dumps({**values, **text, "vocab_size": 262}))
    system.processor.tokenizer.save_pretrained(folder)
    vision = CLIPVisionModel(system.model.config.vision_config)
    vision.load_state_dict(system.model.model.vision_encoder.tower.state_dict())
    vision.save_pretrained(tower)
    return folder, tower


def test_the_original_layout_of_geochat(system, original, tiny_preset):
    folder, tower = original
    assert is_llava_layout(folder)
    imported = import_llava_layout(folder, tower, tiny_preset)
    assert torch.equal(_logits(imported.system), _logits(system))


def test_the_original_layout_needs_its_tower(original, tiny_preset):
    with pytest.raises(ResourceError, match="--vision"):
        import_llava_layout(original[0], None, tiny_preset)


class _Attack:
    def __reduce__(self):
        return (print, ("code ran",))


def test_a_pickle_with_code_is_not_opened(original, tiny_preset, capsys):
    folder, tower = original
    (folder / "mm_projector.bin").write_bytes(pickle.dumps({"mm_projector.0.weight": _Attack()}))
    with pytest.raises(ModelError, match="no plain file of tensors"):
        import_llava_layout(folder, tower, tiny_preset)
    assert "code ran" not in capsys.readouterr().out
