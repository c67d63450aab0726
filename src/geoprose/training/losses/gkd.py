"""Generalised knowledge distillation: Jensen-Shannon divergence on gold answers or on the student's own.

No gradient flows through the sampling: sampled answers are data, and at every position of them the whole vocabulary is
compared. So the gradient is the single-step part of that of the sequence's divergence, which is biased and has the
lowest variance of all estimators here; see docs/explanation/distillation.md.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from geoprose.training.distillation.divergences import Divergence, jensen_shannon
from geoprose.training.losses.on_policy import OnPolicyLoss

if TYPE_CHECKING:
    from torch import Tensor

    from geoprose.training.losses.base import Forward


class GkdLoss(OnPolicyLoss):
    """Divergence between student and teacher at every position of an answer.

    Source:
        Agarwal et al., arXiv:2306.13649, algorithm 1: ``lmbda`` is the share of on-policy data, ``beta`` the
        interpolation.
    """

    @property
    def divergence(self) -> Divergence:
        """What is summed over the positions."""
        return partial(jensen_shannon, beta=float(self.spec.beta))

    def loss_sum(self, forward: Forward) -> Tensor:
        """Return the divergence and the weighted cross-entropy, summed."""
        if self.key in forward.batch:
            return self.sampled_sum(forward, self.divergence)
        return self.gold_divergence(forward, self.divergence, lm_weight=float(self.spec.lm_weight))


class ReverseKlOnPolicyLoss(GkdLoss):
    """Full-vocabulary reverse KL on the student's own answers."""

    @property
    def divergence(self) -> Divergence:
        """Reverse KL."""
        return partial(jensen_shannon, beta=1.0)
