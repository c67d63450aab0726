"""Which release a preset can import, and what a config may ask for."""

import pytest

from geoprose.core.errors import ConfigError
from geoprose.systems.interop.released import LAYOUTS, expect, importable_class, taken
from geoprose.systems.presets import list_presets, load_preset


def test_every_layout_names_a_preset_without_a_class_in_transformers():
    for name in LAYOUTS.names():
        layout = LAYOUTS.get(name)
        spec = load_preset(layout.preset)
        assert spec.reference is None
        assert importable_class(spec.name, spec.reference) == layout.architecture


def test_presets_say_what_they_can_import():
    classes = {name: importable_class(name, load_preset(name).reference) for name in list_presets()}
    assert classes["llava-1.5"] == "LlavaForConditionalGeneration"
    assert classes["llava-v1"] == "LlavaLlamaForCausalLM"
    assert classes["minigpt-v2"] is classes["em-vlm4ad"] is classes["flamingo"] is None


def test_settings_are_compared_where_they_are_said():
    assert taken({"a": 1, "b": 2}, ("b", "c")) == {"b": 2}
    expect({"a": 1}, "config.json", a=1, absent=5)
    with pytest.raises(ConfigError, match=r"config\.json: a is 1, but the preset's parts compute 2 only"):
        expect({"a": 1}, "config.json", a=2)
