"""Contrastive losses against computations by hand and against transformers."""

import math

import pytest
import torch

from geoprose.models.dual.losses import (
    sigmoid_contrastive,
    sigmoid_contrastive_sum,
    softmax_contrastive,
    softmax_contrastive_sum,
)


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


def test_several_positives_share_the_target_by_hand():
    logits = torch.tensor([[1.0, 2.0, 0.0]], dtype=torch.float64)
    positive, total = torch.tensor([[True, True, False]]), math.log(math.e + math.e**2 + 1)
    assert softmax_contrastive_sum(logits, positive).item() == pytest.approx(total - (1.0 + 2.0) / 2)


def test_ignored_candidates_leave_the_softmax():
    logits = torch.tensor([[1.0, 2.0, 0.0]], dtype=torch.float64)
    positive, ignored = torch.tensor([[True, False, False]]), torch.tensor([[False, True, False]])
    assert softmax_contrastive_sum(logits, positive, ignored).item() == pytest.approx(math.log(1 + math.exp(-1)))
    expected = math.log(1 + math.exp(-1)) + math.log(2)
    assert sigmoid_contrastive_sum(logits, positive, ignored).item() == pytest.approx(expected)


def test_gradient_is_finite_where_candidates_are_ignored():
    logits = torch.randn(4, 4, dtype=torch.float64, requires_grad=True)
    positive = torch.eye(4, dtype=torch.bool)
    softmax_contrastive_sum(logits, positive, positive.roll(1, 0), 0.1).backward()
    assert torch.isfinite(logits.grad).all()
    assert torch.equal(logits.grad[positive.roll(1, 0)], torch.zeros(4, dtype=torch.float64))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_one_positive_is_smoothed_cross_entropy(smoothing):
    logits, targets = torch.randn(3, 6, dtype=torch.float64), torch.tensor([2, 0, 5])
    positive = torch.nn.functional.one_hot(targets, 6).bool()
    expected = torch.nn.functional.cross_entropy(logits, targets, reduction="sum", label_smoothing=smoothing)
    torch.testing.assert_close(softmax_contrastive_sum(logits, positive, smoothing=smoothing), expected)
