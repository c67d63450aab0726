"""Which picture a token sees: by hand, and against the two published functions as loops."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.models.mllama.processing_mllama import (
    convert_sparse_cross_attention_mask_to_dense,
    get_cross_attention_token_mask,
)

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.layout.arrangements import ARRANGEMENTS, num_tokens
from geoprose.layout.visual import VisualLayout
from geoprose.models.inputs import TextInputs, Visuals
from geoprose.models.parts.fusions.layers import decoder_layers, every_nth
from geoprose.models.parts.fusions.media import checked_visible, gather, see
from geoprose.models.parts.fusions.scatter import scatter
from geoprose.models.parts.packers.media import MediaPacker

_MARK = 9


def _text(rows, state=None) -> TextInputs:
    ids = torch.tensor(rows)
    return TextInputs(torch.zeros(*ids.shape, 2), ids == _MARK, None, 0, {} if state is None else state)


def _visuals(*sizes: int) -> Visuals:
    return Visuals([torch.full((size, 3), float(i)) for i, size in enumerate(sizes)], [VisualLayout()] * len(sizes), 1)


def _visible(rows, visible: str, sizes) -> torch.Tensor:
    text = _text(rows)
    return see(text, gather(text, _visuals(*sizes)), visible).int()


def test_by_hand():
    row = [[1, _MARK, 2, _MARK, _MARK, 3]]
    assert _visible(row, "last", (1, 1, 1))[0].tolist() == [
        [0, 0, 0], [1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1]]  # fmt: skip
    assert _visible(row, "group", (1, 1, 1))[0].tolist()[3:] == [[0, 1, 0], [0, 1, 1], [0, 1, 1]]
    assert _visible(row, "all", (1, 1, 1))[0].tolist()[3:] == [[1, 1, 0], [1, 1, 1], [1, 1, 1]]


def test_rows_get_their_own_pictures_and_padding_is_never_seen():
    text = _text([[_MARK, _MARK, 1], [1, _MARK, 1], [1, 1, 1]])
    media = gather(text, _visuals(2, 1, 2))
    assert media.picture_BM.tolist() == [[1, 1, 2], [1, 1, 0], [0, 0, 0]]
    assert media.tokens_BME[..., 0].tolist() == [[0, 0, 1], [2, 2, 0], [0, 0, 0]]
    visible = see(text, media, "all")
    assert visible[1, 2].tolist() == [True, True, False]
    assert not visible[2].any()


rows = st.lists(st.sampled_from([1, 2, _MARK, _MARK]), min_size=1, max_size=12)


@settings(deadline=None, max_examples=60)
@given(row=rows)
def test_group_is_the_mask_of_mllama(row):
    count = row.count(_MARK)
    if count == 0:
        return
    spans = get_cross_attention_token_mask(row, _MARK)
    expected = convert_sparse_cross_attention_mask_to_dense([spans], [[1] * count], 1, len(row))
    assert _visible([row], "group", (1,) * count)[0].tolist() == expected[0, :, :, 0].tolist()


@settings(deadline=None, max_examples=60)
@given(row=rows, cut=st.integers(1, 11), visible=st.sampled_from(["last", "group", "all"]))
def test_passes_of_a_conversation_see_what_one_pass_sees(row, cut, visible):
    """A cut between two adjacent pictures begins a new group: a later pass cannot know what stood before it."""
    count = row.count(_MARK)
    is_inside_group = visible == "group" and row[cut - 1 : cut + 1] == [_MARK, _MARK]
    if count == 0 or cut >= len(row) or is_inside_group:
        return
    whole = _visible([row], visible, (1,) * count)[0]
    state, parts = {}, []
    for part in (row[:cut], row[cut:]):
        text = _text([part], state)
        sizes = (1,) * part.count(_MARK)
        part_visible = see(text, gather(text, _visuals(*sizes)) if sizes else None, visible)
        blind = torch.zeros(1, len(part), 0, dtype=torch.bool)
        found = (blind if part_visible is None else part_visible)[0].int()
        parts.append(torch.nn.functional.pad(found, (0, count - found.shape[-1])))
    assert torch.equal(torch.cat(parts), whole)


def test_counts_that_do_not_match_are_refused():
    with pytest.raises(ProcessingError, match="2 image placeholders but 1 pictures"):
        gather(_text([[_MARK, _MARK]]), _visuals(4))
    with pytest.raises(ProcessingError, match="no picture was given"):
        see(_text([[_MARK]]), None, "last")
    assert see(_text([[1, 2]]), None, "last") is None
    with pytest.raises(ConfigError, match="nearest"):
        checked_visible("nearest")


def test_packer_and_arrangement():
    """The one packer whose runs are longer than the text's: a placeholder stands for all of them."""
    layouts = [VisualLayout(rows=2), VisualLayout()]
    tokens = torch.arange(3 * 4 * 2.0).reshape(3, 4, 2)
    assert [len(run) for run in MediaPacker(2)(tokens, layouts)] == [8, 4]
    arrangement = ARRANGEMENTS.get("media")()
    assert [num_tokens(arrangement, layout, 4) for layout in layouts] == [1, 1]
    padded = MediaPacker(2, slots=3)(tokens.repeat(2, 1, 1), layouts)
    assert [len(run) for run in padded] == [12, 12]
    with pytest.raises(ProcessingError, match="3 tiles for 2 visuals of 2 slots"):
        MediaPacker(2, slots=2)(tokens, layouts)
    with pytest.raises(ConfigError, match="slots"):
        MediaPacker(2, slots=0)


def test_tokens_of_another_width_cannot_stand_among_words():
    with pytest.raises(ProcessingError, match="width 3 cannot stand among words of width 2"):
        scatter(torch.zeros(1, 2, 2), [torch.ones(2, 3)], torch.ones(1, 2, dtype=torch.bool))


def test_layers():
    layers = torch.nn.ModuleList(torch.nn.Identity() for _ in range(4))
    assert decoder_layers(torch.nn.ModuleDict({"a": torch.nn.Identity(), "b": layers}), 4) is layers
    with pytest.raises(ConfigError, match="no list of 5 decoder layers"):
        decoder_layers(layers, 5)
    assert every_nth(8, 4, 3) == [3, 7]
    for every, offset in ((0, 0), (1, 4)):
        with pytest.raises(ConfigError, match="choose no layer"):
            every_nth(4, every, offset)
