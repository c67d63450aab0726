"""Layers of the dense heads by hand."""

import pytest
import torch
import torch.nn.functional as F

from geoprose.models.dense.layers import ContextDecoder, CrossAttention, Fpn, SqueezeExcite, VitPyramid, score_map
from tests.fixtures.systems import randomise


def test_score_map_is_a_cosine():
    patches, texts = torch.randn(2, 5, 3, 4), torch.randn(2, 6, 5)
    scores = score_map(patches, texts)
    assert scores.shape == (2, 6, 3, 4)
    torch.testing.assert_close(scores[1, 4, 2, 3], F.cosine_similarity(patches[1, :, 2, 3], texts[1, 4], dim=0))


def test_cross_attention_by_hand_with_one_head_and_a_mask():
    layer = CrossAttention(4, 6, num_heads=1).double()
    randomise(layer)
    layer.requires_grad_(False)
    x, context = torch.randn(1, 2, 4, dtype=torch.float64), torch.randn(1, 3, 6, dtype=torch.float64)
    seen = torch.tensor([[[True, False, True], [True, True, True]]])
    query, key, value = layer.query(layer.norm(x))[0], layer.key(context)[0], layer.value(context)[0]
    weights = torch.zeros(2, 3, dtype=torch.float64)
    for row in range(2):
        logits = {column: float(query[row] @ key[column]) / 2 for column in range(3) if seen[0, row, column]}
        total = sum(torch.tensor(value_).exp().item() for value_ in logits.values())
        for column, logit in logits.items():
            weights[row, column] = torch.tensor(logit, dtype=torch.float64).exp() / total
    expected = x[0] + layer.out(weights @ value)
    torch.testing.assert_close(layer(x, context, seen)[0], expected, atol=1e-6, rtol=1e-5)


def test_pyramid_strides_and_fpn_by_hand():
    maps = [torch.randn(1, 8, 4, 4) for _ in range(4)]
    stages = VitPyramid(8)(maps)
    assert [stage.shape[-1] for stage in stages] == [16, 8, 4, 2]
    assert torch.equal(stages[2], maps[2])
    assert torch.equal(stages[3], F.max_pool2d(maps[3], 2))
    fpn = Fpn([8] * 4, 6)
    laterals = [layer(stage) for layer, stage in zip(fpn.lateral, stages, strict=True)]
    second = laterals[2] + laterals[3].repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(fpn(stages)[2], fpn.smooth[2](second))


def test_squeeze_excite_by_hand():
    layer = SqueezeExcite(4, 2, reduction=2)
    x = torch.randn(1, 4, 3, 3)
    mean = x.mean((2, 3))[0]
    first, second = layer.gate[0], layer.gate[2]
    hidden = torch.relu(first.weight[:, :, 0, 0] @ mean + first.bias)
    weights = torch.sigmoid(second.weight[:, :, 0, 0] @ hidden + second.bias)
    torch.testing.assert_close(layer(x), layer.out(x * weights[None, :, None, None]))


def test_context_starts_as_almost_the_identity():
    decoder = ContextDecoder(6, hidden=8, num_layers=2, num_heads=2)
    texts, memory = torch.randn(2, 3, 6), torch.randn(2, 5, 6)
    refined = decoder(texts, memory)
    assert 0 < (refined - texts).abs().max() < 1e-2
    assert (decoder(texts, memory.flip(0)) - refined).abs().max() > 0
    assert decoder.gamma.tolist() == pytest.approx([1e-4] * 6)
