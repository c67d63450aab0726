"""Systems stand where the surveys of the brief put them."""

import pytest

from geoprose.systems.presets import list_presets, load_preset
from geoprose.systems.taxonomy import Taxonomy, classify

EXPECTED = {
    "llava-1.5": ("projection", "unified embedding decoder", "token level", "multi-branch"),
    "blip2-opt": ("compression", "unified embedding decoder", "token level", "multi-branch"),
    "qwen-vl": ("compression", "unified embedding decoder", "token level", "multi-branch"),
    "flamingo": ("compression", "cross-modality attention", "feature level", "multi-branch"),
    "llama-3.2-vision": ("projection", "cross-modality attention", "feature level", "multi-branch"),
    "fuyu": ("one backbone", "unified embedding decoder", "token level", "multi-branch"),
    "chameleon": ("one backbone", "unified embedding decoder", "token level", "discrete tokens"),
    "janus": ("projection", "unified embedding decoder", "token level", "discrete tokens"),
    "imagebind-llm": ("projection", "unified embedding decoder", "token level", "single-branch"),
    "clip-vit-l-14": ("dual encoder", "none", "late", "multi-branch"),
    "segclip": ("task head", "none", "late", "multi-branch"),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_systems_stand_where_the_surveys_put_them(name):
    assert classify(load_preset(name)) == Taxonomy(*EXPECTED[name])


def test_every_preset_has_a_place():
    assert all(classify(load_preset(name)).kind for name in list_presets())
