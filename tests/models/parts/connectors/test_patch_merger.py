import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.models.qwen2_vl.modeling_qwen2_vl import PatchMerger

from geoprose.core.errors import ConfigError, ModelError
from geoprose.models.parts.connectors.patch_merger import PatchMergerConnector
from tests.fixtures.systems import randomise


def test_groups_become_what_the_published_merger_makes_of_them():
    ours, theirs = PatchMergerConnector(6, 10).double(), PatchMerger(dim=10, context_dim=6).double()
    randomise(ours)
    theirs.load_state_dict({name.replace("layers.", "mlp."): value for name, value in ours.state_dict().items()})
    groups = torch.randn(5, 4, 6, dtype=torch.float64)
    torch.testing.assert_close(ours(groups)[:, 0], theirs(groups.flatten(0, 1)), atol=1e-12, rtol=0)


def test_tiles_in_raster_order_merge_neighbours():
    merger = PatchMergerConnector(3, 7).double()
    randomise(merger)
    tile = torch.randn(4, 4, 3, dtype=torch.float64)
    tokens = merger(tile.reshape(1, 16, 3))
    assert tokens.shape == (1, 4, 7)
    corner = merger(tile[2:, 2:].reshape(1, 4, 3))
    torch.testing.assert_close(tokens[:, 3:], corner)


@given(st.integers(1, 3), st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_counts_what_it_makes(factor, side):
    merger = PatchMergerConnector(4, 6, factor=factor)
    patches = (factor * side) ** 2
    assert merger(torch.zeros(2, patches, 4)).shape == (2, merger.num_visual_tokens(patches), 6)


def test_gradient_reaches_every_parameter():
    merger = PatchMergerConnector(4, 6)
    randomise(merger)
    merger(torch.randn(2, 4, 4)).square().sum().backward()
    assert all(bool(parameter.grad.any()) for parameter in merger.parameters())


def test_wrong_inputs_are_refused():
    with pytest.raises(ConfigError, match="factor"):
        PatchMergerConnector(4, 6, factor=0)
    for patches in (17, 9):
        with pytest.raises(ConfigError, match="cannot merge"):
            PatchMergerConnector(4, 6).num_visual_tokens(patches)
    with pytest.raises(ModelError, match="square grid"):
        PatchMergerConnector(4, 6)(torch.zeros(1, 6, 4))
