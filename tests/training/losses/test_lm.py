"""The language-model loss against numbers worked out by hand."""

from __future__ import annotations

import math

import torch

from geoprose.training.losses.lm import causal_lm_loss_sum


def test_sum_over_answer_positions_by_hand() -> None:
    # Identity head over 2 tokens: logits are the states. Position 0 counts: -log softmax([ln 3, 0])[0] = -log(3/4).
    hidden = torch.tensor([[[math.log(3.0), 0.0], [5.0, 5.0], [0.0, math.log(9.0)]]], dtype=torch.float64)
    next_ids = torch.tensor([[0, -100, 1]])
    loss = causal_lm_loss_sum(hidden, next_ids, lambda states: states)
    assert math.isclose(float(loss), -math.log(0.75) - math.log(0.9), rel_tol=1e-12)


def test_no_answer_gives_zero_with_a_gradient_path() -> None:
    hidden = torch.ones(1, 3, 2, requires_grad=True)
    loss = causal_lm_loss_sum(hidden, torch.full((1, 3), -100), lambda states: states)
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert torch.equal(hidden.grad, torch.zeros(1, 3, 2))


def test_the_head_sees_answer_positions_only() -> None:
    seen = []

    def head(states: torch.Tensor) -> torch.Tensor:
        seen.append(states.shape)
        return states

    causal_lm_loss_sum(torch.randn(2, 5, 4), torch.tensor([[-100] * 4 + [1], [-100, 2, 3, -100, -100]]), head)
    assert seen == [(3, 4)]
