"""Every preset that names a transformers class computes what that class computes: float64, random weights."""

import pytest
import torch

from geoprose.systems.interop import REFERENCES
from geoprose.systems.interop.base import untied
from geoprose.systems.presets import list_presets, load_preset
from geoprose.systems.verify import TOLERANCE, scrambled_system, verify_system

PRESETS = [name for name in list_presets() if load_preset(name).reference is not None]


@pytest.mark.parametrize("preset", PRESETS)
def test_preset_equals_its_reference(preset):
    result = verify_system(preset)
    for name, case in result.cases.items():
        assert case.max_difference < TOLERANCE, name
        assert case.same_tokens, name
        assert case.picture_effect > 1e-3, f"{name}: the pictures do not matter, so equality proves nothing"
    assert result.control_difference > 100 * TOLERANCE, "a permuted weight was not noticed"
    assert result.is_exact_after_reload


@pytest.mark.parametrize("preset", PRESETS)
def test_key_map_goes_both_ways(preset):
    system = scrambled_system(preset)
    state = untied(system.model)
    key_map = REFERENCES.get(system.spec.reference)().key_map(system.model.config)
    back, left_out = key_map.to_ours(key_map.to_theirs(state))
    assert left_out == []
    assert set(back) <= set(state)
    assert all(torch.equal(back[name], state[name]) for name in back)


@pytest.mark.parametrize("preset", PRESETS)
def test_claimed_level_is_the_proven_one(preset):
    assert load_preset(preset).verified == "parity"
