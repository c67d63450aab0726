"""MiniLLM: the gradient of the reverse KL of whole answers, by policy gradient.

Three variants: as the paper states it, as its published code does it, and ours with less variance; the estimators are
in ``training/distillation/estimators.py``.
"""

# S slots (sampled answers), L longest answer, K sampled tokens, D width, V tokens of the shared vocabulary

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from geoprose.training.distillation.divergences import forward_kl, log_probabilities, reverse_kl
from geoprose.training.distillation.estimators import (
    ReleasedOptions,
    Scores,
    as_in_the_paper,
    as_released,
    with_less_variance,
)
from geoprose.training.distillation.teacher_pass import teacher_pass
from geoprose.training.distillation.vocabulary import map_in_chunks
from geoprose.training.losses.on_policy import OnPolicyLoss

if TYPE_CHECKING:
    from torch import Tensor

    from geoprose.training.distillation.sampling import SamplingOptions
    from geoprose.training.losses.base import Forward

PAPER_TEACHER_MIX = 0.2


class MiniLlmLoss(OnPolicyLoss):
    """Single-step part, policy gradient and language-modelling term, summed over the sampled tokens.

    Source:
        Gu et al., arXiv:2306.08543.
    """

    @property
    def teacher_mix(self) -> float:
        """Share of the teacher in the sampling."""
        if self.spec.teacher_mix is not None:
            return float(self.spec.teacher_mix)
        return 0.0 if self.spec.variant == "ours" else PAPER_TEACHER_MIX

    def sampling(self) -> SamplingOptions:
        """Return how answers are sampled: with the teacher's help where the variant wants it."""
        return replace(super().sampling(), teacher_mix=self.teacher_mix)

    def loss_sum(self, forward: Forward) -> Tensor:
        """Return the surrogate of the variant and the language-modelling term, summed."""
        if self.key not in forward.batch:  # a batch without any answer
            return forward.hidden.sum() * 0.0
        scores = self.scores(forward)
        spec, mix, clip = self.spec, self.teacher_mix, float(self.spec.clip)
        length_norm = spec.variant != "ours" if spec.length_norm is None else spec.length_norm
        if spec.variant == "paper":
            surrogate_SL = as_in_the_paper(scores, mix, clip, length_norm)
        elif spec.variant == "released":
            options = ReleasedOptions(spec.gamma, spec.reward_clip, spec.reward_scaling)
            surrogate_SL = as_released(scores, mix, clip, options)
        else:
            group_S = self.sampled_forward(forward).batch["group"]
            surrogate_SL = with_less_variance(scores, group_S, mix, clip, length_norm)
        return surrogate_SL.sum() + self.lm_term(forward)

    def scores(self, forward: Forward) -> Scores:
        """Return what student and teacher say about the sampled answers."""
        ours = self.sampled_forward(forward)
        is_real_SL = ours.batch["is_answer"]
        place_K, tokens_K = ours.batch["place"][is_real_SL], ours.batch["answers"][is_real_SL]
        theirs_KD = teacher_pass(self.teacher, ours).at(place_K)

        def scored(states: Tensor, theirs: Tensor, tokens: Tensor) -> Tensor:
            student = log_probabilities(self.vocabulary.logits(forward.model, states))
            with torch.no_grad():
                teacher = log_probabilities(self.vocabulary.logits(self.teacher.model, theirs))
            said = (side.gather(-1, tokens[:, None])[:, 0] for side in (student, teacher))
            return torch.stack([reverse_kl(student, teacher), *said], dim=-1)

        states_KD = ours.hidden.flatten(0, 1)[place_K]
        found_K3 = map_in_chunks(scored, self.spec.chunk_positions, states_KD, theirs_KD, tokens_K)
        kl_SL, log_q_SL, log_p_SL = (_spread(column, is_real_SL) for column in found_K3.unbind(-1))
        # Why not the log-probability of the sampling: with dropout or bf16 another kernel would make the ratio noise.
        old_SL = log_q_SL.detach()
        return Scores(kl_SL, log_q_SL, log_p_SL.detach(), old_SL, is_real_SL)

    def lm_term(self, forward: Forward) -> Tensor | float:
        """Return the language-modelling term; the released code mixes forward KL into it."""
        share = float(self.spec.kd_ratio) if self.spec.variant == "released" else 0.0
        plain = super().lm_term(forward)
        if not share or not self.spec.lm_weight:
            return plain
        gold = super(OnPolicyLoss, self).num_items(forward.batch)
        scale = float(self.spec.lm_weight) * self.num_items(forward.batch) / max(1.0, gold)
        return (1.0 - share) * plain + share * scale * self.gold_divergence(self.sampled_forward(forward), forward_kl)


def _spread(values_K: Tensor, is_real_SL: Tensor) -> Tensor:
    """Return the values at their places, 0 elsewhere."""
    return values_K.new_zeros(is_real_SL.shape).masked_scatter(is_real_SL, values_K)
