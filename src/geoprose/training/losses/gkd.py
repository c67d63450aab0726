"""Generalised knowledge distillation: Jensen-Shannon divergence on gold answers or on the student's own."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from geoprose.training.distillation.divergences import Divergence, jensen_shannon
from geoprose.training.losses.distillation import AnswerLoss

if TYPE_CHECKING:
    from torch import Tensor

    from geoprose.training.losses.base import Forward


class GkdLoss(AnswerLoss):
    """Divergence between student and teacher at every position of an answer."""

    @property
    def divergence(self) -> Divergence:
        """What is summed over the positions."""
        return partial(jensen_shannon, beta=float(self.spec.beta))

    def loss_sum(self, forward: Forward) -> Tensor:
        """Return the divergence and the weighted cross-entropy, summed."""
        return self.gold_sum(forward, self.divergence)
