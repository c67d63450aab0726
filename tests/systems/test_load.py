import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText

import geoprose.systems.save as save_module
from geoprose.core.errors import ConfigError, ModelError, PresetError, ResourceError
from geoprose.systems.batch import prepare_batch
from geoprose.systems.build import build_system
from geoprose.systems.load import load_system
from geoprose.systems.save import save_system
from tests.fixtures.systems import PRESETS, picture, randomise, tiny_system

WEIGHTS = "model.safetensors"


def _same(one, two):
    a, b = one.state_dict(), two.state_dict()
    return a.keys() == b.keys() and all(a[key].dtype == b[key].dtype and torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_round_trips_exactly(preset, tmp_path):
    system = tiny_system(preset, dtype=torch.float32)
    folder = save_system(system, tmp_path / preset)
    loaded = load_system(folder)
    assert loaded.spec == system.spec
    assert _same(loaded.model, system.model)
    assert _same(AutoModelForImageTextToText.from_pretrained(folder).eval(), system.model)
    inputs = prepare_batch(system, [([picture(0)], "Where?")])
    # The weights are equal to the bit; in a mapped file they may lie at an odd address, where kernels round apart.
    torch.testing.assert_close(loaded.model(**inputs).logits, system.model(**inputs).logits, rtol=0, atol=1e-5)
    assert loaded.model.generation_config.to_dict() == system.model.generation_config.to_dict()
    frozen = {name for name, parameter in loaded.model.named_parameters() if not parameter.requires_grad}
    assert frozen == {name for name, parameter in system.model.named_parameters() if not parameter.requires_grad}
    saved = set(load_file(folder / WEIGHTS))
    assert saved | {"lm_head.weight"} == set(system.model.state_dict()) | {"lm_head.weight"}


def test_parts_keep_their_own_dtypes(tmp_path):
    system = tiny_system("demo", dtype=torch.float32)
    system.model.model.vision_encoder.to(torch.bfloat16)
    system.model.model.language_model.to(torch.bfloat16)
    loaded = load_system(save_system(system, tmp_path / "mixed"))
    assert _same(loaded.model, system.model)


def test_shards_are_followed(tmp_path):
    system = tiny_system("demo", dtype=torch.float32)
    folder = save_system(system, tmp_path / "sharded")
    (folder / WEIGHTS).unlink()
    system.model.save_pretrained(folder, max_shard_size="100KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    assert _same(load_system(folder).model, system.model)
    next(folder.glob("model-*.safetensors")).unlink()
    with pytest.raises(ResourceError, match=r"model-0000.* is missing"):
        load_system(folder)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return save_system(build_system("demo", scale="tiny"), tmp_path_factory.mktemp("systems") / "good")


@pytest.fixture
def broken(good, tmp_path):
    return shutil.copytree(good, tmp_path / "broken")


def _edit_json(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _edit_weights(folder, change):
    state = load_file(folder / WEIGHTS)
    change(state)
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})


def test_missing_key(broken):
    _edit_weights(broken, lambda state: state.pop("model.connector.layers.0.bias"))
    with pytest.raises(ModelError, match=r"model.safetensors lacks 'model.connector.layers.0.bias'"):
        load_system(broken)


def test_unexpected_key(broken):
    _edit_weights(broken, lambda state: state.update(extra=torch.zeros(1)))
    with pytest.raises(ModelError, match=r"model.safetensors holds 'extra', which the model"):
        load_system(broken)


def test_wrong_shape(broken):
    _edit_weights(broken, lambda state: state.update({"model.connector.layers.0.bias": torch.zeros(3)}))
    with pytest.raises(
        ModelError, match=r"'model.connector.layers.0.bias' has shape \(3,\), config.json needs \(32,\)"
    ):
        load_system(broken)


@pytest.mark.parametrize("keep", [0, 5, 4000, -1])
def test_truncated_weights(broken, keep):
    content = (broken / WEIGHTS).read_bytes()
    (broken / WEIGHTS).write_bytes(content[:keep])
    with pytest.raises(ModelError, match=r"model.safetensors is corrupt or truncated"):
        load_system(broken)


def test_missing_files(broken):
    (broken / WEIGHTS).unlink()
    with pytest.raises(ResourceError, match="only safetensors weights are read"):
        load_system(broken)
    (broken / "config.json").unlink()
    with pytest.raises(ResourceError, match=r"config.json is missing"):
        load_system(broken)


def test_missing_processor(broken):
    for name in ("processor_config.json", "tokenizer_config.json", "tokenizer.json"):
        (broken / name).unlink()
    with pytest.raises(ResourceError, match="no processor"):
        load_system(broken)


@pytest.mark.parametrize("name", ["config.json", "processor_config.json", "tokenizer_config.json"])
def test_a_folder_that_asks_to_run_code_is_refused(broken, name):
    _edit_json(broken / name, nested={"auto_map": {"AutoConfig": "evil.Config"}})
    with pytest.raises(ModelError, match=rf"{name} holds 'auto_map', which asks to run code"):
        load_system(broken)


def test_index_outside_the_folder_is_refused(broken):
    (broken / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../secret.safetensors"}}))
    with pytest.raises(ModelError, match="outside the folder"):
        load_system(broken)


def test_configs_that_are_none(broken):
    _edit_json(broken / "config.json", model_type="llava")
    with pytest.raises(ModelError, match="'llava', not 'geoprose'"):
        load_system(broken)
    (broken / "config.json").write_text("[]")
    with pytest.raises(ModelError, match="must hold a JSON object"):
        load_system(broken)
    (broken / "config.json").write_text("{")
    with pytest.raises(ModelError, match="cannot be read as JSON"):
        load_system(broken)


def test_names_and_paths_that_do_not_exist(tmp_path):
    with pytest.raises(PresetError, match="Did you mean 'geochat'"):
        load_system("geochatt")
    with pytest.raises(ResourceError, match="is not a folder"):
        load_system(tmp_path / "nothing")
    (tmp_path / "file").write_text("x")
    with pytest.raises(ResourceError, match="is not a folder"):
        load_system(tmp_path / "file")


def test_saving_replaces_a_system_and_nothing_else(good, tmp_path):
    system = build_system("demo", scale="tiny")
    randomise(system.model, seed=5)
    folder = shutil.copytree(good, tmp_path / "old")
    assert _same(load_system(save_system(system, folder)).model, system.model)
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match="not a saved system"):
        save_system(system, precious)
    with pytest.raises(ConfigError, match="wrapped by PEFT"):
        save_system(system, tmp_path / "adapter", adapter="separate")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old", "precious"]


def test_a_save_that_fails_leaves_the_old_system(good, tmp_path, monkeypatch):
    folder = shutil.copytree(good, tmp_path / "old")
    before = load_system(folder).model

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(save_module, "write_json", fail)
    with pytest.raises(OSError, match="disk full"):
        save_system(tiny_system("demo"), folder)
    assert _same(load_system(folder).model, before)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
