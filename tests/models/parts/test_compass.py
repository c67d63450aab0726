from __future__ import annotations

import pytest
import torch

from geoprose.core.errors import ConfigError
from geoprose.models.parts.connectors.compass import SUMMARIES, CompassMlpConnector, compass_cover
from tests.fixtures.systems import randomise


def test_cover_of_a_grid_of_two_by_hand() -> None:
    expected = {
        "whole": [0.25, 0.25, 0.25, 0.25],
        "north": [0.5, 0.5, -0.5, -0.5],
        "south": [-0.5, -0.5, 0.5, 0.5],
        "east": [-0.5, 0.5, -0.5, 0.5],
        "west": [0.5, -0.5, 0.5, -0.5],
    }
    assert torch.equal(compass_cover(2), torch.tensor([expected[name] for name in SUMMARIES]))


@pytest.mark.parametrize("side", [0, 1, 3])
def test_an_odd_grid_has_no_halves(side: int) -> None:
    with pytest.raises(ConfigError, match="even side"):
        compass_cover(side)
    with pytest.raises(ConfigError, match="even side"):
        CompassMlpConnector(8, 12, position_grid=side or 5)


def test_tokens_follow_the_equation() -> None:
    connector = CompassMlpConnector(4, 6, position_grid=2, factor=2)
    randomise(connector)
    features = torch.randn(3, 16, 4)
    merged = connector.merge(features)
    hidden = connector.layers[1](connector.layers[0](merged))
    cells = connector.layers[2](hidden)
    north_minus_south = (hidden[:, 0] + hidden[:, 1] - hidden[:, 2] - hidden[:, 3]) / 2
    east_minus_west = (hidden[:, 1] + hidden[:, 3] - hidden[:, 0] - hidden[:, 2]) / 2
    read = torch.cat([north_minus_south, east_minus_west.abs(), hidden.mean(1)], dim=-1)
    north = connector.contrast_layer(torch.nn.functional.gelu(connector.contrast_hidden(read)))
    output, vectors = connector(features), connector.position_vectors
    assert output.shape == (3, connector.num_visual_tokens(16), 6) == (3, 13, 6)
    torch.testing.assert_close(output[:, 0], cells.mean(1) + vectors[0])
    torch.testing.assert_close(output[:, 1], north + vectors[1])
    torch.testing.assert_close(output[:, [2, 4, 6, 8]], vectors[[2, 4, 6, 8]].expand(3, 4, 6))
    torch.testing.assert_close(output[:, 9:], cells + vectors[9:])


def test_a_uniform_tile_looks_alike_in_all_directions() -> None:
    connector = CompassMlpConnector(4, 6, position_grid=2, factor=1)
    randomise(connector)
    tokens = connector.tokens(torch.randn(1, 1, 4).expand(1, 4, 4))
    torch.testing.assert_close(tokens[0, 1:5], tokens[0, 1:2].expand(4, 6))


@pytest.mark.parametrize(("turn", "seen"), [("mirror", [0, 1, 3, 2]), ("quarter", [3, 2, 0, 1])])
def test_directions_turn_with_the_tile(turn: str, seen: list[int]) -> None:
    connector = CompassMlpConnector(4, 6, position_grid=2, factor=1)
    randomise(connector)
    cells = torch.randn(1, 2, 2, 4)
    turned = cells.flip(2) if turn == "mirror" else cells.rot90(-1, (1, 2))  # clockwise: west comes to the north
    before, after = (connector.tokens(grid.reshape(1, 4, 4))[:, 1:5] for grid in (cells, turned))
    torch.testing.assert_close(after, before[:, seen])
    assert not torch.allclose(after, before)


def test_every_parameter_gets_a_gradient_and_the_tokens_say_what_they_cover() -> None:
    connector = CompassMlpConnector(4, 6, position_grid=4, factor=2, output_norm="layernorm", input_norm="standardise")
    randomise(connector)
    output = connector(torch.randn(2, 64, 4))
    (output * torch.randn_like(output)).sum().backward()
    assert all(parameter.grad is not None for parameter in connector.parameters())
    cover = connector.token_cover()
    assert cover.shape == (25, 16) == (*output.shape[1:2], 16)
    assert torch.equal(cover[9:], torch.eye(16))
    assert torch.allclose(cover[1:9].sum(1), torch.zeros(8))
    assert not cover[[2, 4, 6, 8]].any()
    assert torch.equal(cover[[1, 3, 5, 7]], compass_cover(4)[1:])


def test_a_single_layer_is_refused() -> None:
    with pytest.raises(ConfigError, match="depth of 2"):
        CompassMlpConnector(4, 6, position_grid=2, depth=1)
