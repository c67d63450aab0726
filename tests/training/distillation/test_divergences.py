"""Divergences against sums written out, and against autograd."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from geoprose.training.distillation.divergences import (
    forward_kl,
    jensen_shannon,
    log_probabilities,
    reverse_kl,
    top_k_forward_kl,
)


def _pair(seed: int, positions: int = 3, words: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, positions, words, generator=generator, dtype=torch.float64)
    return log_probabilities(2 * logits[0]), log_probabilities(2 * logits[1])


def test_by_hand() -> None:
    student = torch.tensor([0.25, 0.75], dtype=torch.float64).log()
    teacher = torch.tensor([0.5, 0.5], dtype=torch.float64).log()
    assert float(forward_kl(student, teacher)) == pytest.approx(0.5 * math.log(2) + 0.5 * math.log(2 / 3))
    assert float(reverse_kl(student, teacher)) == pytest.approx(0.25 * math.log(0.5) + 0.75 * math.log(1.5))
    middle = 0.375
    by_hand = 0.5 * (0.5 * math.log(0.5 / middle) + 0.5 * math.log(0.5 / (1 - middle)))
    by_hand += 0.5 * (0.25 * math.log(0.25 / middle) + 0.75 * math.log(0.75 / (1 - middle)))
    assert float(jensen_shannon(student, teacher, 0.5)) == pytest.approx(by_hand)


def test_torch_agrees() -> None:
    student, teacher = _pair(0)
    theirs = torch.nn.functional.kl_div(student, teacher, log_target=True, reduction="none").sum(-1)
    torch.testing.assert_close(forward_kl(student, teacher), theirs)
    swapped = torch.nn.functional.kl_div(teacher, student, log_target=True, reduction="none").sum(-1)
    torch.testing.assert_close(reverse_kl(student, teacher), swapped)
    assert not torch.allclose(theirs, swapped)  # negative control: the direction matters


@given(st.integers(0, 500), st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]))
@settings(max_examples=30, deadline=None)
def test_zero_for_equal_and_positive_otherwise(seed: int, beta: float) -> None:
    student, teacher = _pair(seed)
    assert torch.all(jensen_shannon(student, teacher, beta) > 0)
    same = student.clone().requires_grad_(True)
    value = jensen_shannon(same.log_softmax(-1), student, beta).sum()
    value.backward()
    assert abs(float(value.detach())) < 1e-12
    assert float(same.grad.abs().max()) < 1e-12


def test_the_ends_of_the_interpolation_are_the_two_divergences() -> None:
    student, teacher = _pair(1)
    tiny = 1e-6
    torch.testing.assert_close(
        jensen_shannon(student, teacher, tiny) / tiny, forward_kl(student, teacher), rtol=1e-4, atol=0
    )
    torch.testing.assert_close(
        jensen_shannon(student, teacher, 1 - tiny) / tiny, reverse_kl(student, teacher), rtol=1e-4, atol=0
    )
    with pytest.raises(ValueError, match="between 0"):
        jensen_shannon(student, teacher, 1.5)


def test_the_gradient_of_reverse_kl_is_the_written_one() -> None:
    _, teacher = _pair(2, 1)
    logits = torch.randn(1, 7, dtype=torch.float64, requires_grad=True)
    student = logits.log_softmax(-1)
    divergence = reverse_kl(student, teacher)
    (gradient,) = torch.autograd.grad(divergence.sum(), logits)
    expected = student.exp() * (student - teacher - divergence[:, None])
    torch.testing.assert_close(gradient, expected.detach())


def test_a_closed_token_costs_nothing_and_gives_no_nan() -> None:
    logits = torch.randn(2, 1, 5, dtype=torch.float64)
    open_only = [log_probabilities(side[:, :4]) for side in logits]
    closed = logits.clone()
    closed[..., 4] = -1e9
    sides = [log_probabilities(side).requires_grad_(True) for side in closed]
    for divergence in (forward_kl, reverse_kl, lambda s, t: jensen_shannon(s, t, 0.3)):
        value = divergence(*sides)
        torch.testing.assert_close(value, divergence(*open_only))
        (gradient,) = torch.autograd.grad(value.sum(), sides[0])
        assert torch.isfinite(gradient).all()


@given(st.integers(0, 300), st.integers(1, 7))
@settings(max_examples=40, deadline=None)
def test_a_bucket_never_adds_distance(seed: int, k: int) -> None:
    student, teacher = _pair(seed)
    top, tokens = teacher.topk(k, dim=-1)
    log_tail = teacher.scatter(-1, tokens, -torch.inf).logsumexp(-1)
    kept = top_k_forward_kl(student, tokens, top, log_tail)
    full = forward_kl(student, teacher)
    assert torch.all(kept <= full + 1e-9)
    if k == student.shape[-1]:
        torch.testing.assert_close(kept, full)


def test_top_k_by_hand() -> None:
    student = torch.tensor([[0.2, 0.3, 0.5]], dtype=torch.float64).log()
    tokens, top = torch.tensor([[2]]), torch.tensor([[0.6]], dtype=torch.float64).log()
    value = top_k_forward_kl(student, tokens, top, torch.tensor([0.4], dtype=torch.float64).log())
    assert float(value) == pytest.approx(0.6 * math.log(0.6 / 0.5) + 0.4 * math.log(0.4 / 0.5))
