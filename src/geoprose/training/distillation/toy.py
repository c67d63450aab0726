"""Answers over a vocabulary small enough to enumerate: expectations are sums here, not averages of samples.

Student and teacher are tables: a row of logits for each prefix. Tests and benchmarks of the estimators stand on this.
"""

# N answers, T longest answer, V tokens, R prefixes

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from geoprose.training.distillation.divergences import reverse_kl
from geoprose.training.distillation.estimators import Scores

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ToyAnswers:
    """All answers of at most ``length`` tokens.

    Attributes:
        num_tokens: V.
        length: T.
        has_stop: Token 0 ends an answer; else all answers have T tokens.
    """

    num_tokens: int
    length: int
    has_stop: bool = False

    @cached_property
    def tokens(self) -> Tensor:
        """All answers (N, T); 0 behind the end."""
        found = []
        for answer in itertools.product(range(self.num_tokens), repeat=self.length):
            end = answer.index(0) + 1 if self.has_stop and 0 in answer else self.length
            found.append((*answer[:end], *[0] * (self.length - end)))
        return torch.tensor(sorted(set(found)))

    @cached_property
    def is_real(self) -> Tensor:
        """False behind the end (N, T)."""
        if not self.has_stop:
            return torch.ones_like(self.tokens, dtype=torch.bool)
        ended = (self.tokens == 0).long().cumsum(-1)
        return ended.roll(1, dims=1).index_fill(1, torch.tensor([0]), 0) == 0

    @cached_property
    def prefixes(self) -> Tensor:
        """Row of the table for the words before each position (N, T)."""
        rows, value, offset = [], torch.zeros(len(self.tokens), dtype=torch.long), 0
        for step in range(self.length):
            rows.append(offset + value)
            value = value * self.num_tokens + self.tokens[:, step]
            offset += self.num_tokens**step
        return torch.stack(rows, dim=1)

    def table(self, seed: int, spread: float = 1.5) -> Tensor:
        """Return random logits (R, V) in float64."""
        num_rows = sum(self.num_tokens**step for step in range(self.length))
        generator = torch.Generator().manual_seed(seed)
        return spread * torch.randn(num_rows, self.num_tokens, generator=generator, dtype=torch.float64)

    def logits(self, table_RV: Tensor) -> Tensor:
        """Return the logits at each position of each answer (N, T, V)."""
        return table_RV[self.prefixes]

    def log_probs(self, logits_NTV: Tensor) -> Tensor:
        """Return the log-probability of each token of each answer (N, T), 0 behind the end."""
        said = logits_NTV.log_softmax(-1).gather(-1, self.tokens[:, :, None])[:, :, 0]
        return torch.where(self.is_real, said, 0.0)

    def chances(self, logits_NTV: Tensor) -> Tensor:
        """Return the probability of each answer (N,); they sum to 1."""
        return self.log_probs(logits_NTV).sum(-1).exp()

    def divergence(self, student_RV: Tensor, teacher_RV: Tensor) -> Tensor:
        """Return ``KL(q || p)`` over whole answers, a scalar with gradient."""
        ours, theirs = (self.log_probs(self.logits(table)).sum(-1) for table in (student_RV, teacher_RV))
        return (ours.exp() * (ours - theirs)).sum()

    def scores(self, student_NTV: Tensor, teacher_NTV: Tensor) -> Scores:
        """Return the scores of all answers, as if each had been sampled once."""
        kl = torch.where(self.is_real, reverse_kl(student_NTV.log_softmax(-1), teacher_NTV.log_softmax(-1)), 0.0)
        log_q = self.log_probs(student_NTV)
        return Scores(kl, log_q, self.log_probs(teacher_NTV).detach(), log_q.detach(), self.is_real)


def pick(scores: Scores, chosen: Tensor) -> Scores:
    """Return the scores of chosen answers (S,), repetitions included."""
    return Scores(
        scores.kl_SL[chosen],
        scores.log_q_SL[chosen],
        scores.log_p_SL[chosen],
        scores.old_log_q_SL[chosen],
        scores.is_real_SL[chosen],
    )
