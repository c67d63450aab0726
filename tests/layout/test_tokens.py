import pytest

from geoprose.core.errors import ConfigError
from geoprose.layout.resolutions import RESOLUTIONS, FixedResolution
from geoprose.layout.tokens import grid_side, num_visual_tokens


def test_published_counts():
    assert num_visual_tokens(224, 14) == 256
    assert num_visual_tokens(336, 14) == 576
    assert num_visual_tokens(504, 14) == 1296
    assert num_visual_tokens(112, 14, unshuffle_factor=2) == 16
    assert num_visual_tokens(224, 14, unshuffle_factor=2, pool=2) == 16


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((100, 14), "multiple of the patch size"), ((112, 14, 3), "unshuffled by 3"), ((112, 14, 1, 3), "pooled by 3")],
)
def test_sizes_that_do_not_divide_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        num_visual_tokens(*arguments)
    assert grid_side(112, 14) == 8


def test_fixed_resolution_is_one_tile():
    resolution = RESOLUTIONS.get("fixed")(112, "pad")
    assert resolution == FixedResolution(112, "pad")
    plan = resolution.plan(900, 30)
    assert plan.layout == (1, 1, 1, 0, 30, 900)
    assert plan.layout.num_tiles == len(plan.tiles) == 1
    assert plan.whole == plan.tiles[0]
