"""Train a reward head so that it gives the preferred answer more than the rejected one."""

# P pairs

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch.nn import functional as F

from geoprose.training.checkpoints import checkpoint as checkpoints
from geoprose.training.preference.loss import PreferencePairLoss
from geoprose.training.preference.reward_head import REWARD_FOLDER, RewardHead, reward_of
from geoprose.training.processes import distributed

if TYPE_CHECKING:
    from torch import Tensor

    from geoprose.training.losses.base import Forward, LossContext


def reward_pair_losses(chosen_P: Tensor, rejected_P: Tensor, centre_weight: float = 0.0) -> Tensor:
    """Return ``-log sigma(r_c - r_r) + c (r_c + r_r)^2`` (P,).

    Args:
        chosen_P: Rewards of the preferred answers.
        rejected_P: Rewards of the rejected ones.
        centre_weight: ``c``.

    Source:
        Bradley and Terry (1952) as in arXiv:2203.02155, eq. 1; the second term: arXiv:2312.09244, eq. 2.
    """
    return -F.logsigmoid(chosen_P - rejected_P) + centre_weight * (chosen_P + rejected_P).square()


class RewardPairsLoss(PreferencePairLoss):
    """The loss of a recipe, a mean over pairs; it needs no reference."""

    def __init__(self, spec: Any, context: LossContext) -> None:
        super().__init__(spec, context)
        width = context.system.model.lm_head.in_features
        self.parameters = {"weight": RewardHead(width, context.seed).weight}

    def begin(self, model: Any, batches: Any) -> None:
        """Prepare nothing."""

    def loss_sum(self, forward: Forward) -> Tensor:
        """Compare the rewards of both answers of every pair."""
        batch, pairs_P2 = forward.batch, forward.batch["pairs"]
        weight_D = self.parameters["weight"].to(forward.hidden.device)
        rewards_A = reward_of(forward.hidden, batch["answer_of"], len(batch["answer_keys"]), weight_D)
        chosen_P, rejected_P = rewards_A[pairs_P2[:, 0]], rewards_A[pairs_P2[:, 1]]
        self.note_margins((chosen_P - rejected_P).detach())
        return reward_pair_losses(chosen_P, rejected_P, self.spec.centre_weight).sum()

    def end(self) -> None:
        """Write the head into the stage's folder; the run copies it beside the system."""
        if self.context.folder is None or not distributed.is_main():
            return
        head = RewardHead(len(self.parameters["weight"]))
        head.weight.data = self.parameters["weight"].detach().cpu()
        with checkpoints.atomic_folder(self.context.folder / REWARD_FOLDER) as folder:
            head.save(folder)
