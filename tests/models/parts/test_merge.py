"""Packer, fusion and positions."""

import pytest
import torch

from geoprose.core.errors import ProcessingError
from geoprose.models.parts.fusions import ScatterFusion
from geoprose.models.parts.packers import FlatPacker
from geoprose.models.parts.positions import Rope1d


@pytest.mark.parametrize(("tiles", "tokens"), [(1, 1), (3, 4)])
def test_flat_packs_what_it_promises(tiles, tokens):
    visual = torch.arange(tiles * tokens * 2.0).reshape(tiles, tokens, 2)
    packed = FlatPacker().pack(visual)
    assert packed.shape[0] == FlatPacker().num_tokens(tiles, tokens)
    assert torch.equal(packed, torch.cat(list(visual)))


def test_scatter_fills_row_by_row_in_batch_order():
    embeds = torch.zeros(2, 3, 1)
    is_visual = torch.tensor([[False, True, True], [True, False, False]])
    visual = torch.tensor([[1.0], [2.0], [3.0]], requires_grad=True)
    merged = ScatterFusion().merge(embeds, visual, is_visual)
    assert merged.squeeze(-1).tolist() == [[0, 1, 2], [3, 0, 0]]
    merged[1].sum().backward()
    assert visual.grad.squeeze(-1).tolist() == [0, 0, 1]


@pytest.mark.parametrize("count", [2, 4])
def test_scatter_refuses_other_counts(count):
    is_visual = torch.tensor([[True, True, True]])
    with pytest.raises(ProcessingError, match=f"3 image placeholders but the pictures gave {count} visual tokens"):
        ScatterFusion().merge(torch.zeros(1, 3, 2), torch.ones(count, 2), is_visual)


def test_rope1d_does_not_count_padding():
    mask = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])
    assert Rope1d().build(mask, 0, 4).tolist() == [[0, 0, 0, 1], [0, 1, 2, 3]]
    assert Rope1d().build(mask, 3, 1).tolist() == [[1], [3]]
    assert Rope1d().build(None, 0, 4) is None
    assert Rope1d().build(torch.ones(1, 1, 4, 4), 0, 4) is None
