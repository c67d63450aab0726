"""Kahneman-Tversky optimisation: answers judged one by one, gains and losses seen from a reference point."""

# A answers, M mismatched prompts and answers

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from geoprose.core.errors import DataError
from geoprose.data.preferences import answer_of
from geoprose.training.preference.log_probs import policy_log_probs
from geoprose.training.preference.loss import PreferenceLoss
from geoprose.training.preference.step_sums import StepSums

if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

    from geoprose.core.types import Sample
    from geoprose.training.losses.base import Batch, Forward, LossContext


def kto_losses(
    ratios_A: Tensor, is_good_A: Tensor, beta: float, baseline: float, weights: tuple[float, float]
) -> Tensor:
    """Return ``w (1 - sigma(beta (r - z)))`` of good answers and ``w (1 - sigma(beta (z - r)))`` of bad ones (A,).

    Args:
        ratios_A: Log-ratio ``r`` of each answer.
        is_good_A: True for good ones.
        beta: Strength of the reference.
        baseline: ``z``, the estimate of KL(policy || reference), not negative; a constant.
        weights: ``w`` of good and of bad answers.

    Source:
        arXiv:2402.01306, eq. 8, without the constant ``lambda_y`` that does not change the gradient.
    """
    gains_A = torch.where(is_good_A, ratios_A - baseline, baseline - ratios_A)
    weights_A = torch.where(is_good_A, weights[0], weights[1]).to(ratios_A.dtype)
    return weights_A * (1 - torch.sigmoid(beta * gains_A))


class KtoLoss(PreferenceLoss):
    """The loss of a recipe, a mean over answers.

    The reference point ``max(0, mean(log pi - log pi_ref))`` is estimated from the step's prompts, each with the answer
    of another record: the next one with another prompt, the same at every visit, so that the reference's part is known
    from the start. Paper (section 4) and TRL take the mean over a micro-batch; here it is the one over the optimiser
    step and all processes, a better estimate that accumulation does not change.
    """

    fills = True

    def __init__(self, spec: Any, context: LossContext) -> None:
        super().__init__(spec, context)
        self._partners = partners(context.samples)
        self.partner_of = self._partner_of
        self._sums = StepSums()

    def _partner_of(self, sample: Sample) -> str:
        return self._partners[_prompt(sample)]

    @torch.no_grad()
    def fill(self, model: Any, batch: MutableMapping[str, Any]) -> None:
        """Count what policy and reference say about the mismatched prompts and answers."""
        from geoprose.training.feeds.preference import MISMATCH
        from geoprose.training.losses.base import Forward

        mismatch = batch[MISMATCH]
        was_training = model.training
        model.eval()
        policy_M = policy_log_probs(Forward(model, mismatch)).sums_A
        model.train(was_training)
        ratios_M = policy_M.double() - self.reference_of(mismatch)
        self._sums.add(ratios=float(ratios_M.sum()), count=float(len(ratios_M)))

    def num_items(self, batch: Batch) -> float:
        """Return the number of answers."""
        return float(len(batch["answer_keys"]))

    def loss_sum(self, forward: Forward) -> Tensor:
        """Judge every answer."""
        spec, found, batch = self.spec, self.log_ratios(forward), forward.batch
        step = self._sums.read()
        baseline = max(0.0, step["ratios"] / step["count"])
        is_good_A = batch["answer_is_good"]
        rewards_A = spec.beta * found.ratios_A.detach()
        self.figures = {"reward_good": rewards_A[is_good_A].sum(), "reward_bad": rewards_A[~is_good_A].sum()}
        return kto_losses(
            found.ratios_A, is_good_A, spec.beta, baseline, (spec.desirable_weight, spec.undesirable_weight)
        ).sum()


def partners(samples: Sequence[Sample]) -> dict[tuple[Any, ...], str]:
    """Return for each prompt the answer of the next record that has another prompt.

    Raises:
        DataError: If all records have the same prompt.
    """
    found: dict[tuple[Any, ...], str] = {}
    prompts = [_prompt(sample) for sample in samples]
    if len(set(prompts)) < 2:
        raise DataError(
            "KTO estimates its reference point from answers to other prompts, but all records have one prompt."
        )
    following = 0
    for place, prompt in enumerate(prompts):
        following = max(following, place + 1)
        while prompts[following % len(prompts)] == prompt:
            following += 1
        found.setdefault(prompt, answer_of(samples[following % len(prompts)]))
    return found


def _prompt(sample: Sample) -> tuple[Any, ...]:
    return (*sample.images, *((message.role, message.text) for message in sample.messages[:-1]))
