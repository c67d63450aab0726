"""Knowledge distillation on the gold answers: the teacher's next-token distributions are the targets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.training.distillation.divergences import forward_kl, reverse_kl
from geoprose.training.losses.distillation import AnswerLoss

if TYPE_CHECKING:
    from torch import Tensor

    from geoprose.training.losses.base import Forward

DIVERGENCES = {"forward_kl": forward_kl, "reverse_kl": reverse_kl}


class KdOfflineLoss(AnswerLoss):
    """Forward or reverse KL at the positions of the gold answers."""

    def loss_sum(self, forward: Forward) -> Tensor:
        """Return the divergence (times temperature squared) and the weighted cross-entropy, summed."""
        spec = self.spec
        return self.gold_divergence(forward, DIVERGENCES[spec.divergence], spec.temperature, float(spec.lm_weight))
