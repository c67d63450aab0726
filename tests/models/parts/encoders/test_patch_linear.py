"""Patches through one linear layer: values, gradients, refusals."""

import pytest
import torch

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.models.own_configs import PatchConfig
from geoprose.models.parts.connectors.identity import IdentityConnector
from geoprose.models.parts.encoders.patch_linear import PatchLinearEncoder


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return PatchLinearEncoder(PatchConfig(patch_size=4, hidden_size=10, image_size=8))


def test_a_patch_is_read_row_by_row_with_channels_last(encoder):
    tile = torch.randn(1, 3, 8, 8)
    second = tile[0, :, :4, 4:].permute(1, 2, 0).flatten()
    torch.testing.assert_close(encoder(tile)[0, 1], encoder.embed(second))


def test_tiles_and_their_patches_agree(encoder):
    tiles = torch.randn(2, 3, 8, 8)
    patches = tiles.reshape(2, 3, 2, 4, 2, 4).permute(0, 2, 4, 1, 3, 5).reshape(8, 1, 48)
    torch.testing.assert_close(encoder(patches).reshape(2, 4, 10), encoder(tiles))
    assert encoder.num_patches() == 4


def test_every_parameter_gets_a_gradient(encoder):
    encoder(torch.randn(1, 3, 8, 8)).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in encoder.parameters())
    assert encoder.unused_parameter_names() == []


@pytest.mark.parametrize("shape", [(1, 3, 7, 8), (1, 4, 8, 8), (5, 1, 47), (5, 48)])
def test_values_that_are_no_patches_are_refused(encoder, shape):
    with pytest.raises(ProcessingError, match="patches"):
        encoder(torch.zeros(shape))


def test_options_of_towers_are_refused():
    with pytest.raises(ConfigError, match="has no layers"):
        PatchLinearEncoder(PatchConfig(), feature_layer=-2)
    with pytest.raises(ConfigError, match="no position table"):
        PatchLinearEncoder(PatchConfig(patch_size=4, hidden_size=2, image_size=4)).position_table_key()


def test_identity_hands_features_on_and_refuses_another_width():
    features = torch.randn(2, 3, 5)
    assert IdentityConnector(5, 5)(features) is features
    assert IdentityConnector(5, 5).num_visual_tokens(7) == 7
    with pytest.raises(ConfigError, match="width 5 to a language model of width 6"):
        IdentityConnector(5, 6)
