"""Log-probabilities of answers, by hand."""

from __future__ import annotations

import torch
from torch import nn

from geoprose.training.preference.log_probs import answer_log_probs


def test_tokens_are_summed_by_answer() -> None:
    head = nn.Linear(2, 3, bias=False, dtype=torch.float64)
    hidden = torch.randn(2, 4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    next_ids = torch.tensor([[0, 1, 2, 0], [2, 2, 1, 0]])
    answer_of = torch.tensor([[-1, 0, 1, 0], [2, 2, -1, -1]])
    table = head(hidden).log_softmax(-1).detach()
    found = answer_log_probs(hidden, next_ids, answer_of, 4, head)
    expected = [table[0, 1, 1] + table[0, 3, 0], table[0, 2, 2], table[1, 0, 2] + table[1, 1, 2], 0.0]
    torch.testing.assert_close(found.sums_A, torch.tensor(expected, dtype=torch.float64))
    assert found.lengths_A.tolist() == [2, 1, 2, 0]
    found.sums_A.sum().backward()
    assert head.weight.grad is not None


def test_half_precision_is_widened() -> None:
    head = nn.Linear(2, 3, bias=False, dtype=torch.bfloat16)
    hidden = torch.ones(1, 1, 2, dtype=torch.bfloat16)
    found = answer_log_probs(hidden, torch.tensor([[1]]), torch.tensor([[0]]), 1, head)
    assert found.sums_A.dtype == torch.float32
