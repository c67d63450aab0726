import numpy as np
import pytest
import torch
from torch import nn

from geoprose.core.errors import ConfigError, ModelError
from geoprose.models.parts.connectors.sincos import sincos_2d
from geoprose.models.parts.connectors.xattn_resampler_2d import XattnResampler2dConnector
from tests.fixtures.systems import randomise


def _resampler(in_size=6, out_size=8, **options):
    connector = XattnResampler2dConnector(in_size, out_size, **{"num_queries": 4, "num_heads": 2, **options}).double()
    randomise(connector)
    return connector.eval()


def test_positions_by_hand():
    # Width 8: two frequencies, 1 and 10000^(-1/2) = 0.01. Cell 5 of a 3x3 grid stands in row 1, column 2.
    vector = [np.sin(2), np.sin(0.02), np.cos(2), np.cos(0.02), np.sin(1), np.sin(0.01), np.cos(1), np.cos(0.01)]
    table = sincos_2d(8, 3)
    assert table.shape == (9, 8)
    np.testing.assert_allclose(table[5].numpy(), vector, atol=1e-6)


def test_attention_by_hand():
    connector, features = _resampler(), torch.randn(3, 4, 6, dtype=torch.float64)
    table = sincos_2d(8, 2).double()
    values = connector.ln_kv(features @ connector.kv_proj.weight.T)
    queries, keys = connector.ln_q(connector.query) + table, values + table
    weights, biases = (part.chunk(3) for part in (connector.attn.in_proj_weight, connector.attn.in_proj_bias))
    q, k, v = (
        (x @ weight.T + bias).unflatten(-1, (2, 4)).transpose(-3, -2)
        for x, weight, bias in zip((queries.expand(3, -1, -1), keys, values), weights, biases, strict=True)
    )
    mixed = (torch.softmax(q @ k.transpose(-1, -2) / 2, -1) @ v).transpose(-3, -2).flatten(-2)
    expected = connector.proj(connector.ln_post(connector.attn.out_proj(mixed)))
    torch.testing.assert_close(connector(features), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("side", [1, 2, 3, 5])
def test_any_square_grid_gives_the_same_number_of_tokens(side):
    connector = _resampler()
    assert connector(torch.randn(2, side**2, 6, dtype=torch.float64)).shape == (2, 4, 8)
    assert connector.num_visual_tokens(side**2) == 4


def test_place_of_a_patch_matters():
    connector, features = _resampler(), torch.randn(1, 9, 6, dtype=torch.float64)
    difference = connector(features) - connector(features.flip(1))
    assert float(difference.detach().abs().max()) > 1e-3


def test_equal_widths_need_no_projection_of_the_patches():
    assert isinstance(_resampler(8, 8).kv_proj, nn.Identity)


def test_gradient_reaches_every_parameter():
    connector = _resampler()
    connector(torch.randn(2, 9, 6, dtype=torch.float64)).square().sum().backward()
    without = [name for name, p in connector.named_parameters() if p.grad is None or not bool(p.grad.any())]
    assert without == []


@pytest.mark.parametrize(
    "options", [{"num_queries": 5}, {"num_heads": 3}, {"out_size": 6, "num_heads": 2}, {"num_heads": None}]
)
def test_impossible_options_are_refused(options):
    with pytest.raises(ConfigError):
        _resampler(**options)


def test_tiles_must_be_square():
    with pytest.raises(ConfigError, match="17 features"):
        _resampler().num_visual_tokens(17)
    with pytest.raises(ModelError, match="square"):
        _resampler()(torch.zeros(1, 6, 6, dtype=torch.float64))
