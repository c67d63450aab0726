import pytest
import torch

from geoprose.core.errors import ConfigError
from geoprose.systems.batch import prepare_batch
from geoprose.systems.placement import place_system
from tests.fixtures.systems import picture, tiny_system

PARTS = ("model.vision_encoder", "model.connector", "model.packer", "model.fusion", "model.language_model", "lm_head")


@pytest.mark.parametrize("device_map", ["auto", {"": "cpu"}, dict.fromkeys(PARTS, "cpu")])
def test_a_placed_system_says_the_same(device_map):
    system = tiny_system("llava-1.5")
    batch = prepare_batch(system, [([picture(0)], "Where?")])
    with torch.no_grad():
        before = system.model(**batch).logits
        assert torch.equal(place_system(system, device_map).model(**batch).logits, before)


@pytest.mark.parametrize(
    ("device_map", "said"),
    [("everywhere", "give 'auto'"), ({"lm_head": "cpu"}, "does not give any device"), ({"": 7}, "cannot be placed")],
)
def test_maps_that_do_not_fit_are_refused(device_map, said):
    with pytest.raises(ConfigError, match=said):
        place_system(tiny_system("llava-1.5"), device_map)
