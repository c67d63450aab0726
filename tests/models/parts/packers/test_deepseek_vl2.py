"""DeepSeek-VL2's packer by hand, and what its arrangement counts."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoprose.core.errors import ProcessingError
from geoprose.layout.arrangements import ARRANGEMENTS, num_tokens
from geoprose.layout.candidate_tiles import CandidateTilesResolution
from geoprose.layout.visual import VisualLayout
from geoprose.models.parts.packers.deepseek_vl2 import DeepseekVl2Packer

sides = st.integers(1, 2000)


def _named(packer):
    """Newline -1, separator -2; tokens are numbered."""
    with torch.no_grad():
        packer.newline.fill_(-1)
        packer.view_separator.fill_(-2)
    return packer


def _run(layout, side, **options):
    tokens = torch.arange(layout.num_tiles * side**2).float().reshape(layout.num_tiles, side**2, 1)
    return _named(DeepseekVl2Packer(1, **options))(tokens, [layout])[0].flatten().int().tolist()


def test_order_by_hand():
    layout = VisualLayout(rows=2, columns=2, thumbnail=1)
    whole = [0, 1, -1, 2, 3, -1]
    tiles = [4, 5, 8, 9, -1, 6, 7, 10, 11, -1, 12, 13, 16, 17, -1, 14, 15, 18, 19, -1]
    assert _run(layout, 2) == [*whole, -2, *tiles]
    assert _run(layout, 2, global_first=False) == [*tiles, -2, *whole]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(sides, sides), min_size=1, max_size=3), st.integers(1, 5))
def test_packer_gives_what_its_arrangement_counts(sizes, side):
    layouts = [CandidateTilesResolution(32).plan(*size).layout for size in sizes]
    tokens = torch.zeros(sum(layout.num_tiles for layout in layouts), side**2, 2)
    arrangement = ARRANGEMENTS.get("deepseek_vl2")()
    packed = DeepseekVl2Packer(2)(tokens, layouts)
    assert [len(run) for run in packed] == [num_tokens(arrangement, layout, side**2) for layout in layouts]


def test_gradients_reach_newline_and_separator():
    packer = DeepseekVl2Packer(4)
    layout = VisualLayout(rows=1, columns=2, thumbnail=1)
    tokens = torch.randn(3, 4, 4, requires_grad=True)
    packer(tokens, [layout])[0].square().sum().backward()
    assert all(bool(tensor.grad.any()) for tensor in (tokens, packer.newline, packer.view_separator))


def test_bad_layouts_are_refused():
    with pytest.raises(ProcessingError, match="whole view"):
        DeepseekVl2Packer(2)(torch.zeros(2, 4, 2), [VisualLayout(rows=1, columns=2)])
    with pytest.raises(ProcessingError, match="square"):
        DeepseekVl2Packer(2)(torch.zeros(2, 3, 2), [VisualLayout(thumbnail=1)])
