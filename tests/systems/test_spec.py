import pytest

from geoprose.core.errors import ConfigError, PresetError
from geoprose.core.spec import validate
from geoprose.systems.presets import list_presets, load_preset, preset_values
from geoprose.systems.spec import SystemSpec, WeightsSpec


@pytest.mark.parametrize("name", list_presets())
def test_presets_say_where_they_come_from_and_what_proves_them(name, repository):
    spec = load_preset(name)
    assert spec.name == name
    assert spec.source
    proofs = [word.rstrip(":;,") for word in spec.proof.split() if word.startswith("tests/")]
    assert proofs
    assert all((repository / proof).exists() for proof in proofs)


@pytest.mark.parametrize(("name", "tokens"), [("demo", 25), ("llava-v1", 256), ("llava-1.5", 576), ("geochat", 1296)])
def test_published_visual_tokens(name, tokens):
    assert load_preset(name).num_visual_tokens() == tokens


def test_a_preset_states_only_its_difference():
    base, geochat = preset_values("llava-1.5"), preset_values("geochat")
    assert geochat["language_model"] == base["language_model"]
    assert geochat["resolution"]["image_mean"] == base["resolution"]["image_mean"]
    assert preset_values("llava-v1")["connector"] == {"type": "linear"}


def test_specs_are_frozen_closed_and_hashed():
    spec = load_preset("demo")
    assert spec == validate(SystemSpec, spec.model_dump(mode="json"), "a copy")
    assert (
        spec.content_hash()
        != load_preset("demo", ["resolution.image_size=224", "connector.position_grid=8"]).content_hash()
    )
    with pytest.raises(ConfigError, match="Did you mean connector"):
        validate(SystemSpec, {**spec.model_dump(mode="json"), "conector": {}}, "a misspelt preset")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("resolution.mode=stretch", "resolution.fixed.mode"),
        ("resolution.image_size=100", "multiple of the patch size"),
        ("connector.position_grid=5", "25 vectors for 16 visual tokens"),
        ("connector.factr=2", "Did you mean factor"),
        ("fusion=scater", "Did you mean 'scatter'"),
        ("vision_encoder.weights.path=/somewhere", "exactly one of"),
    ],
)
def test_wrong_values_are_named(override, message):
    with pytest.raises(ConfigError, match=message):
        load_preset("demo", [override])


def test_hub_weights_need_a_commit():
    with pytest.raises(ValueError, match="40 hexadecimal digits"):
        WeightsSpec(hub_id="openai/clip", revision="main")
    with pytest.raises(ValueError, match="exactly one"):
        WeightsSpec()


def test_unknown_and_circular_presets(tmp_path, monkeypatch):
    with pytest.raises(PresetError, match="Did you mean 'geochat'"):
        load_preset("geochatt")
    folder = tmp_path / "systems"
    folder.mkdir()
    (folder / "a.yaml").write_text("extends: b\n")
    (folder / "b.yaml").write_text("extends: a\n")
    monkeypatch.setattr("geoprose.systems.presets.PRESETS_DIR", tmp_path)
    with pytest.raises(PresetError, match="circle: a -> b -> a"):
        load_preset("a")
