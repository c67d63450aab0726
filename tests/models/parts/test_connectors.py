import pytest
import torch
import torch.nn.functional as F

from geoprose.core.errors import ConfigError, ModelError
from geoprose.models.parts.connectors.mlp import LinearConnector, MlpConnector
from geoprose.models.parts.connectors.unshuffle import UnshuffleMlpConnector, unshuffle

FEATURES = torch.arange(2 * 16 * 3, dtype=torch.float64).reshape(2, 16, 3)


def test_dyx_c_is_the_order_of_internvl():
    grid = FEATURES.view(2, 2, 2, 2, 2, 3)  # batch, block row, dy, block column, dx, channel
    expected = torch.stack(
        [torch.cat([grid[:, r, dy, c, dx] for dy in (0, 1) for dx in (0, 1)], -1) for r in (0, 1) for c in (0, 1)], 1
    )
    assert torch.equal(unshuffle(FEATURES, 2, "dyx_c"), expected)


def test_c_dyx_is_the_order_of_unfold():
    grid = FEATURES.transpose(1, 2).reshape(2, 3, 4, 4)
    assert torch.equal(unshuffle(FEATURES, 2, "c_dyx"), F.unfold(grid, 2, stride=2).transpose(1, 2))


def test_raster4_joins_consecutive_patches():
    assert torch.equal(unshuffle(FEATURES, 2, "raster4")[:, 1], FEATURES[:, 4:8].flatten(1))


@pytest.mark.parametrize(("patches", "factor", "order"), [(15, 2, "dyx_c"), (9, 2, "c_dyx"), (6, 2, "raster4")])
def test_grids_that_do_not_divide_are_refused(patches, factor, order):
    with pytest.raises(ModelError):
        unshuffle(torch.zeros(1, patches, 3), factor, order)


def test_linear_and_mlp_by_hand():
    linear = LinearConnector(2, 1).double()
    linear.load_state_dict({"layers.0.weight": torch.tensor([[2.0, -1.0]]), "layers.0.bias": torch.tensor([0.5])})
    assert linear(torch.tensor([[[3.0, 4.0]]], dtype=torch.float64)).item() == 2.5
    mlp = MlpConnector(2, 2, depth=3, activation="relu")
    assert [type(layer).__name__ for layer in mlp.layers].count("Linear") == 3
    assert mlp.num_visual_tokens(7) == mlp(torch.zeros(1, 7, 2)).shape[1] == 7


def test_bad_options_are_refused():
    with pytest.raises(ConfigError, match="depth 0"):
        MlpConnector(2, 2, depth=0)
    with pytest.raises(ConfigError, match="activation"):
        MlpConnector(2, 2, activation="gellu")
    with pytest.raises(ConfigError, match="factor"):
        UnshuffleMlpConnector(2, 2, factor=0)


def _full() -> UnshuffleMlpConnector:
    torch.manual_seed(0)
    return UnshuffleMlpConnector(3, 8, input_norm="standardise", output_norm="layernorm", position_grid=2).double()


def test_standardise_output_scale_and_position_vectors():
    connector = _full()
    mean, std = FEATURES.mean((0, 1)), FEATURES.std((0, 1))
    connector.set_input_statistics(mean, std)
    connector.initialise_output_scale(0.125)
    with torch.no_grad():
        connector.position_vectors.copy_(torch.arange(32, dtype=torch.float64).reshape(4, 8))
    out = connector(FEATURES)
    bare = out - connector.position_vectors
    assert connector.num_visual_tokens(16) == out.shape[1] == 4
    torch.testing.assert_close(
        bare.std(-1, unbiased=False), torch.full((2, 4), 0.125, dtype=torch.float64), atol=1e-3, rtol=0
    )
    # Features that are already standard need no statistics.
    plain = _full()
    plain.load_state_dict({**connector.state_dict(), "input_mean": torch.zeros(3), "input_std": torch.ones(3)})
    torch.testing.assert_close(plain((FEATURES - mean) / std), out)


def test_statistics_that_do_not_fit_are_refused():
    with pytest.raises(ModelError, match="shape"):
        _full().set_input_statistics(torch.zeros(2), torch.ones(2))
    with pytest.raises(ModelError, match="positive"):
        _full().set_input_statistics(torch.zeros(3), torch.zeros(3))
    with pytest.raises(ModelError, match="takes no statistics"):
        UnshuffleMlpConnector(3, 4).set_input_statistics(torch.zeros(3), torch.ones(3))


def test_layernorm_input_acts_on_the_merged_vector():
    connector = UnshuffleMlpConnector(3, 4, input_norm="layernorm")
    assert connector.input_norm.normalized_shape == (12,)
    torch.testing.assert_close(connector(FEATURES.float() * 10), connector(FEATURES.float()), atol=1e-4, rtol=1e-3)
