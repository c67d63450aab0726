"""Contrastive losses against computations by hand and against transformers."""

import math

import pytest
import torch

from geoprose.models.dual.losses import sigmoid_contrastive, softmax_contrastive


def test_softmax_by_hand():
    logits = torch.tensor([[2.0, 0.0], [1.0, 3.0]])
    rows = [math.log(1 + math.exp(-2)), math.log(1 + math.exp(-2))]
    columns = [math.log(1 + math.exp(-1)), math.log(1 + math.exp(-3))]
    assert softmax_contrastive(logits).item() == pytest.approx((sum(rows) / 2 + sum(columns) / 2) / 2)


def test_sigmoid_by_hand():
    logits = torch.tensor([[2.0, -1.0], [0.5, 3.0]])
    terms = [math.log(1 + math.exp(-2)), math.log(1 + math.exp(-1)), math.log(1 + math.exp(0.5)),
             math.log(1 + math.exp(-3))]  # fmt: skip
    assert sigmoid_contrastive(logits).item() == pytest.approx(sum(terms) / 2)


def test_softmax_equals_transformers():
    from transformers.models.clip.modeling_clip import image_text_contrastive_loss

    logits = torch.randn(5, 5, dtype=torch.float64)
    torch.testing.assert_close(softmax_contrastive(logits), image_text_contrastive_loss(logits))


@pytest.mark.parametrize("loss", [softmax_contrastive, sigmoid_contrastive])
def test_right_pairs_cost_less_and_half_precision_is_not_lost(loss):
    logits = torch.eye(4) * 8 - 4
    assert loss(logits) < loss(logits.roll(1, 0))
    assert loss(logits.bfloat16()).dtype == torch.float32
    assert loss(torch.zeros(4, 4, requires_grad=True)).requires_grad
