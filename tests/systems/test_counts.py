"""The kept counts are those of the presets."""

import pytest

from geoprose.systems.counts import count_preset, stored_counts
from geoprose.systems.presets import list_presets

SAMPLE = ["demo", "llava-next", "qwen2-vl", "flamingo", "clip-vit-l-14"]
HINT = "run `python -m geoprose.systems.counts`"


def test_every_preset_is_counted():
    assert sorted(stored_counts()) == list_presets(), HINT


@pytest.mark.parametrize("name", SAMPLE)
def test_kept_counts_are_those_of_the_preset(name):
    assert stored_counts()[name] == count_preset(name), HINT


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in list_presets() if name not in SAMPLE])
def test_all_kept_counts_are_those_of_the_presets(name):
    assert stored_counts()[name] == count_preset(name), HINT


def test_cross_attention_counts_what_is_read_and_not_the_placeholder():
    assert stored_counts()["flamingo"].visual_tokens == 64
    assert stored_counts()["qwen2-vl"].visual_tokens == 256
