"""The language-model loss against numbers worked out by hand."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from geoprose.training.losses.base import LossContext
from geoprose.training.losses.lm import LmLoss, causal_lm_loss_sum, chunked_lm_loss_sum
from geoprose.training.specs.loss_language import LmLossSpec
from tests.fixtures.live_memory import PeakBytes


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


def test_label_smoothing_by_hand() -> None:
    hidden = torch.tensor([[[math.log(3.0), 0.0]]], dtype=torch.float64)
    loss = causal_lm_loss_sum(hidden, torch.tensor([[0]]), lambda states: states, 0.1)
    p = (-math.log(0.75), -math.log(0.25))
    assert math.isclose(float(loss), 0.9 * p[0] + 0.1 * (p[0] + p[1]) / 2, rel_tol=1e-12)


@pytest.mark.parametrize(
    ("reduction", "counts"), [("token", [4, 1, 2]), ("square", [2, 1, 2**0.5]), ("sample", [1, 1, 1])]
)
@pytest.mark.parametrize("chunk_tokens", [None, 3])
def test_a_sample_counts_as_its_reduction_says(reduction: str, counts: list[float], chunk_tokens: int | None) -> None:
    """Three samples of 4, 1 and 2 answer tokens; every token of sample s has the loss -log p_s."""
    none = -100
    next_ids = torch.tensor([[none, 0, 0, none, 0, 0, 0], [0, none, 0, none, none, none, none]])
    sample_of = torch.tensor([[0, 0, 0, 0, 0, 0, 1], [2, 2, 2, 2, -1, -1, -1]])
    p = torch.tensor([0.5, 0.25, 0.125], dtype=torch.float64)
    hidden = torch.stack([p.log(), (1 - p).log()], dim=-1)[sample_of]
    batch = {"next_ids": next_ids, "sample_of": sample_of}
    forward = SimpleNamespace(hidden=hidden, batch=batch, model=SimpleNamespace(lm_head=lambda states: states))
    loss = LmLoss(LmLossSpec(reduction=reduction, chunk_tokens=chunk_tokens), LossContext(None))
    assert loss.num_items(batch) == pytest.approx(sum(counts))
    expected = -(torch.tensor(counts, dtype=torch.float64) * p.log()).sum()
    assert float(loss.loss_sum(forward)) == pytest.approx(float(expected))  # type: ignore[arg-type]
    assert loss.num_items({"next_ids": next_ids[:, :1] * 0 + none, "sample_of": sample_of[:, :1]}) == 0.0


@pytest.mark.parametrize("chunk_tokens", [1, 3, 100])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_chunks_have_the_same_loss_and_gradients(chunk_tokens: int, smoothing: float, is_weighted: bool) -> None:
    torch.manual_seed(0)
    head = nn.Linear(4, 11).double()
    next_ids = torch.randint(-3, 11, (2, 9))
    next_ids[next_ids < 0] = -100
    weights = torch.rand(int((next_ids >= 0).sum()), dtype=torch.float64) if is_weighted else None
    results = []
    for chunked in (False, True):
        hidden = torch.linspace(-1, 1, 72, dtype=torch.float64).view(2, 9, 4).requires_grad_()
        if chunked:
            loss = chunked_lm_loss_sum(hidden, next_ids, head, chunk_tokens, smoothing, weights)
        else:
            loss = causal_lm_loss_sum(hidden, next_ids, head, smoothing, weights)
        results.append((loss, *torch.autograd.grad(loss, [hidden, *head.parameters()])))
    for whole, parts in zip(*results, strict=True):
        torch.testing.assert_close(parts, whole, rtol=1e-12, atol=1e-12)
    assert float(chunked_lm_loss_sum(hidden, next_ids * 0 - 100, head, 3).detach()) == 0.0


def _peak(chunk_tokens: int | None, answers: int) -> int:
    """Bytes at the peak of head and loss for 256 positions and 2,000 tokens; 256 answers are full logits."""
    torch.manual_seed(0)
    head = nn.Linear(16, 2000, bias=False)
    hidden = torch.randn(1, 256, 16, requires_grad=True)
    next_ids = torch.full((1, 256), -100)
    next_ids[:, :answers] = 5
    with PeakBytes() as memory:
        if chunk_tokens is None:
            causal_lm_loss_sum(hidden, next_ids, head).backward()
        else:
            chunked_lm_loss_sum(hidden, next_ids, head, chunk_tokens).backward()
    return memory.peak


def test_memory_follows_the_answers_then_the_chunk() -> None:
    """One position in eight is an answer, as in the benchmark of 1024 positions and a vocabulary of 32,000."""
    full, answers, chunks = _peak(None, 256), _peak(None, 32), _peak(8, 32)
    assert full > 2 * 256 * 2000 * 4
    assert full > 6 * answers
    assert answers > 1.5 * chunks
