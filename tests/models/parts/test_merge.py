"""Packer, fusion and positions."""

import pytest
import torch

from geoprose.core.errors import ProcessingError
from geoprose.layout.arrangements import ARRANGEMENTS, num_tokens
from geoprose.layout.visual import VisualLayout
from geoprose.models.inputs import TextInputs
from geoprose.models.parts.fusions.scatter import scatter
from geoprose.models.parts.packers.flat import FlatPacker
from geoprose.models.parts.positions.rope1d import Rope1d


@pytest.mark.parametrize(("tiles", "tokens"), [(1, 1), (3, 4)])
def test_flat_packs_what_its_arrangement_counts(tiles, tokens):
    layouts = [VisualLayout(columns=tiles), VisualLayout(rows=tiles, thumbnail=1)]
    visual = torch.arange((2 * tiles + 1) * tokens * 2.0).reshape(-1, tokens, 2)
    packed = FlatPacker(2)(visual, layouts)
    counts = [num_tokens(ARRANGEMENTS.get("flat")(), layout, tokens) for layout in layouts]
    assert [len(run) for run in packed] == counts == [tiles * tokens, (tiles + 1) * tokens]
    assert torch.equal(torch.cat(list(packed)), visual.flatten(0, 1))


def test_flat_refuses_other_layouts():
    with pytest.raises(ProcessingError, match="describe 2 tiles but the pictures gave 3"):
        FlatPacker(2)(torch.zeros(3, 4, 2), [VisualLayout(), VisualLayout()])


def test_scatter_fills_row_by_row_in_batch_order():
    embeds = torch.zeros(2, 3, 1)
    is_visual = torch.tensor([[False, True, True], [True, False, False]])
    visual = torch.tensor([[1.0], [2.0], [3.0]], requires_grad=True)
    merged = scatter(embeds, [visual[:2], visual[2:]], is_visual)
    assert merged.squeeze(-1).tolist() == [[0, 1, 2], [3, 0, 0]]
    merged[1].sum().backward()
    assert visual.grad.squeeze(-1).tolist() == [0, 0, 1]


@pytest.mark.parametrize("count", [0, 2, 4])
def test_scatter_refuses_other_counts(count):
    is_visual = torch.tensor([[True, True, True]])
    with pytest.raises(ProcessingError, match=f"3 image placeholders but the pictures gave {count} visual tokens"):
        scatter(torch.zeros(1, 3, 2), [torch.ones(count, 2)], is_visual)


def _positions(mask, past, length):
    text = TextInputs(torch.zeros(2, length, 1), torch.zeros(2, length, dtype=torch.bool), mask, past)
    return Rope1d().build(text, None)


def test_rope1d_does_not_count_padding():
    mask = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]])
    assert _positions(mask, 0, 4).tolist() == [[0, 0, 0, 1], [0, 1, 2, 3]]
    assert _positions(mask, 3, 1).tolist() == [[1], [3]]
    assert _positions(None, 0, 4) is None
    assert _positions(torch.ones(1, 1, 4, 4), 0, 4) is None
