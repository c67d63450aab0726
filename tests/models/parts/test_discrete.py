"""Codes on their way into the language model: table, packer, fusion, and the heads that write them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from geoprose.core.errors import ConfigError, ModelError, ProcessingError
from geoprose.layout.arrangements import ARRANGEMENTS, num_tokens
from geoprose.layout.visual import VisualLayout
from geoprose.models.inputs import TextInputs, Visuals
from geoprose.models.parts.connectors.vq_embed import VqEmbedConnector
from geoprose.models.parts.fusions.token_ids import TokenIdsFusion
from geoprose.models.parts.heads.code_mlp import CodeMlpHead
from geoprose.models.parts.packers.rows import EolRowsPacker, RowsNewlinePacker


@pytest.mark.parametrize("ids", [7, [9, 3, 5, 1]])
def test_codes_become_the_ids_of_the_table(ids):
    connector = VqEmbedConnector(4, 16, token="<{code}>", ids=ids)
    expected = [7, 8, 9, 10] if ids == 7 else ids
    assert connector(torch.tensor([[3, 0], [1, 2]])).tolist() == [
        [expected[3], expected[0]],
        [expected[1], expected[2]],
    ]
    rows = torch.randn(12, 2)
    assert torch.equal(connector.take(rows), rows[expected])
    assert list(connector.parameters()) == []


def test_a_table_that_does_not_fit_and_vectors_are_refused():
    with pytest.raises(ConfigError, match="3 token ids for 4 codes"):
        VqEmbedConnector(4, 16, ids=[1, 2, 3])
    with pytest.raises(ProcessingError, match="integer codes"):
        VqEmbedConnector(4, 16)(torch.zeros(1, 2, 3))


grids = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=3)


@given(grids=grids)
def test_packers_give_as_many_tokens_as_their_arrangements_count(grids):
    layouts = [VisualLayout(rows=rows, columns=columns) for rows, columns in grids]
    ids = torch.arange(sum(rows * columns for rows, columns in grids)).unsqueeze(1)
    for name, packer in (("eol_rows", EolRowsPacker(8, "<eol>", 99)), ("rows_newline", RowsNewlinePacker(8))):
        packed = packer(ids, layouts)
        arrangement = ARRANGEMENTS.get(name)()
        assert [len(visual) for visual in packed] == [num_tokens(arrangement, layout, 1) for layout in layouts]
        assert torch.equal(_kept(packed), ids.flatten())


def _kept(packed):
    flat = torch.cat(list(packed))
    return flat[flat != 99]


def test_every_row_of_codes_ends_with_its_token():
    packed = EolRowsPacker(8, "<eol>", 9)(torch.arange(6).unsqueeze(1), [VisualLayout(rows=2, columns=3)])
    assert packed[0].tolist() == [0, 1, 2, 9, 3, 4, 5, 9]
    with pytest.raises(ModelError, match="takes token ids"):
        EolRowsPacker(8)(torch.zeros(6, 1, 8), [VisualLayout(rows=2, columns=3)])


class _Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(12, 4)

    def get_input_embeddings(self):
        return self.embed

    def forward(self, inputs_embeds, **kwargs):
        return inputs_embeds


def test_ids_are_embedded_by_the_table_of_words_and_it_learns_from_pictures():
    words = _Words()
    text = TextInputs(words.embed(torch.tensor([[1, 0, 0, 2]])), torch.tensor([[False, True, True, False]]), None, 0)
    merged = TokenIdsFusion(None)(words, text, Visuals([torch.tensor([7, 9])], [VisualLayout()], 2))
    assert torch.equal(merged, words.embed(torch.tensor([[1, 7, 9, 2]])))
    merged.square().sum().backward()
    assert (words.embed.weight.grad.abs().sum(1) > 0).nonzero().flatten().tolist() == [1, 2, 7, 9]
    with pytest.raises(ModelError, match="takes token ids"):
        TokenIdsFusion(None)(words, text, Visuals([torch.zeros(2, 4)], [VisualLayout()], 2))


def test_every_trainable_parameter_of_the_janus_head_gets_a_gradient():
    torch.manual_seed(0)
    values = {"num_embeddings": 6, "embed_dim": 4, "latent_channels": 32, "base_channels": 32, "num_patches": 2}
    head = CodeMlpHead(8, {"model_type": "janus_vqgan", **values, "channel_multiplier": [1, 1], "num_res_blocks": 1})
    read = head.embed(None, torch.tensor([0, 1, 2, 3, 4, 5]))
    head.scores(None, read).square().sum().backward()
    for name, parameter in head.named_parameters():
        is_frozen = name.startswith("tower.")
        assert parameter.requires_grad != is_frozen
        assert is_frozen or parameter.grad.abs().sum() > 0, name
    assert head.train().training
    assert not head.tower.training
    assert head.decode(None, torch.zeros(1, 2, 2, dtype=torch.long)).shape == (1, 3, 4, 4)
