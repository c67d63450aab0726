"""The unshuffle connector with padding equals DeepSeek-VL2's formula: pad, then F.unfold."""

import pytest
import torch
import torch.nn.functional as F

from geoprose.models.parts.connectors.unshuffle import UnshuffleMlpConnector


@pytest.mark.parametrize("side", [3, 4, 5, 27])
@pytest.mark.parametrize("factor", [2, 3])
def test_merge_equals_unfold(side, factor):
    connector = UnshuffleMlpConnector(3, 4, factor=factor, order="c_dyx", pad=True)
    features = torch.randn(2, side**2, 3)
    missing = -side % factor
    grid = F.pad(features.reshape(2, side, side, 3), (0, 0, 0, missing, 0, missing)).permute(0, 3, 1, 2)
    expected = F.unfold(grid, factor, stride=factor).transpose(1, 2)
    assert torch.equal(connector.merge(features), expected)
    assert connector.num_visual_tokens(side**2) == expected.shape[1]


def test_published_tile_has_196_tokens():
    assert UnshuffleMlpConnector(1152, 8, order="c_dyx", pad=True).num_visual_tokens(27**2) == 196
