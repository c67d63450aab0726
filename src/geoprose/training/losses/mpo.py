"""Mixed preference optimisation: DPO, BCO with its reward shift, and the cross-entropy of the preferred answers."""

# P pairs, A answers

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from geoprose.training.losses.dpo import dpo_losses
from geoprose.training.preference.loss import LogRatios, PreferencePairLoss
from geoprose.training.preference.step_sums import StepSums
from geoprose.training.processes import distributed

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from geoprose.training.losses.base import Forward, LossContext


def bco_losses(chosen_P: Tensor, rejected_P: Tensor, beta: float, shift: Tensor | float = 0.0) -> Tensor:
    """Return ``-log sigma(beta c - delta) - log sigma(-(beta r - delta))`` (P,): each answer on its own scale.

    Args:
        chosen_P: Log-ratio ``c`` of the preferred answers.
        rejected_P: Log-ratio ``r`` of the rejected ones.
        beta: Strength of the reference; ``beta c`` is the reward.
        shift: ``delta``, the mean reward so far; a constant, no gradient flows through it.

    Source:
        BCO, arXiv:2404.04656, as MPO uses it (arXiv:2411.10442, eq. 4 and 5).
    """
    return -F.logsigmoid(beta * chosen_P - shift) - F.logsigmoid(-(beta * rejected_P - shift))


class MpoLoss(PreferencePairLoss):
    """The loss of a recipe.

    The terms are divided as in InternVL's release: preference and quality by the pairs, generation by the tokens, here
    those of the whole optimiser step. The items are pairs, so the sum of the tokens' losses is multiplied by pairs per
    token. The running mean of the rewards gives every micro-batch the same weight, like the release, and is part of a
    checkpoint.

    Source:
        OpenGVLab/InternVL ``internvl_chat/internvl/train/trainer_dpo.py``: losses ``sigmoid,bco_pair`` with weights 0.8
        and 0.2, ``rpo_alpha`` 1 times the mean cross-entropy; TRL 0.10 ``bco_pair``, ``RunningMoments``.
    """

    fills = True

    def __init__(self, spec: Any, context: LossContext) -> None:
        super().__init__(spec, context)
        # Contract: learns nothing, but lies among the parameters so that checkpoints carry it: mean and count.
        state = torch.zeros(2, dtype=torch.float64)
        self._shift = nn.Parameter(state, requires_grad=False)
        self._shift_of_step = 0.0
        self._sums = StepSums()
        self.parameters = {"reward_shift": self._shift}

    def fill(self, model: Any, batch: MutableMapping[str, Any]) -> None:
        """Count the step's pairs and tokens of preferred answers."""
        self._shift_of_step = float(self._shift[0])
        chosen = batch["pairs"][:, 0]
        num_tokens = torch.isin(batch["answer_of"], chosen).sum()
        self._sums.add(pairs=float(len(chosen)), tokens=float(num_tokens))

    def loss_sum(self, forward: Forward) -> Tensor:
        """Return the weighted sum of the three terms."""
        spec, found, pairs_P2 = self.spec, self.log_ratios(forward), forward.batch["pairs"]
        self.note_pairs(found, pairs_P2)
        chosen_P, rejected_P = found.ratios_A[pairs_P2[:, 0]], found.ratios_A[pairs_P2[:, 1]]
        preference = dpo_losses(chosen_P, rejected_P, spec.beta).sum()
        quality = bco_losses(chosen_P, rejected_P, spec.beta, self._reward_shift(found)).sum()
        step = self._sums.read()
        generation = -found.sums_A[pairs_P2[:, 0]].sum() * step["pairs"] / max(step["tokens"], 1.0)
        total: Tensor = spec.preference_weight * preference + spec.quality_weight * quality
        return total + float(spec.generation_weight) * generation

    def _reward_shift(self, found: LogRatios) -> float:
        """Count the rewards of this micro-batch and return what is subtracted from them."""
        rewards_A = self.spec.beta * found.ratios_A.detach().double()
        total, number = distributed.sum_over_ranks([float(rewards_A.sum()), len(rewards_A)])
        mean = total / number
        if math.isfinite(mean):
            before, count = self._shift.tolist()
            self._shift.data = self._shift.new_tensor([before + (mean - before) / (count + 1), count + 1])
        shifts = {"running": float(self._shift[0]), "before_step": self._shift_of_step, "none": 0.0}
        return shifts[self.spec.reward_shift]
