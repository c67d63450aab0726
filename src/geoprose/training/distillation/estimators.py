"""Estimators of the gradient of the reverse KL of whole answers, ``KL(q || p)`` with ``y`` drawn by the student.

For one answer ``y_1 .. y_T`` let ``r_t = log p(y_t) - log q(y_t)``, ``KL_t = KL(q(. | y_<t) || p(. | y_<t))`` and
``R_(t+1) = sum_(k > t) r_k``. Then (Gu et al., arXiv:2306.08543)

``grad KL(q || p) = E_y [ sum_t grad KL_t - sum_t R_(t+1) grad log q(y_t) ]``:

the single-step part is known exactly, token by token, and the rest is a policy gradient. Every function here returns
surrogates (S, L): values whose gradient is the estimate. They are 0 behind the end of an answer.
"""

# S slots (sampled answers), L longest answer

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Scores:
    """What student and teacher say about sampled answers.

    Attributes:
        kl_SL: ``KL(q || p)`` over the whole vocabulary at each position, with gradient.
        log_q_SL: The student's log-probability of the token, with gradient.
        log_p_SL: The teacher's, without.
        old_log_q_SL: The student's when the answers were sampled, without.
        is_real_SL: False behind the end of an answer.
    """

    kl_SL: Tensor
    log_q_SL: Tensor
    log_p_SL: Tensor
    old_log_q_SL: Tensor
    is_real_SL: Tensor

    @property
    def sampled_rewards(self) -> Tensor:
        """``r_t`` of the tokens that were sampled (S, L)."""
        return torch.where(self.is_real_SL, self.log_p_SL - self.old_log_q_SL, 0.0).detach()

    @property
    def expected_rewards(self) -> Tensor:
        """``E[r_t | y_<t] = -KL_t`` (S, L): the same mean as ``r_t``, without the chance of the token."""
        return torch.where(self.is_real_SL, -self.kl_SL, 0.0).detach()

    def weights(self, teacher_mix: float) -> Tensor:
        """Return ``w_t = q(y_t) / ((1 - a) q(y_t) + a p(y_t))`` (S, L), at most ``1 / (1 - a)``; 1 without a mixture.

        The exact weight of a prefix is a product over its tokens. The single factor is what the paper takes: biased,
        but of bounded variance.
        """
        if teacher_mix == 0.0:
            return torch.ones_like(self.old_log_q_SL)
        log_share = torch.tensor([1.0 - teacher_mix, teacher_mix], dtype=self.old_log_q_SL.dtype).log().tolist()
        mixed = torch.logaddexp(log_share[0] + self.old_log_q_SL, log_share[1] + self.log_p_SL)
        return (self.old_log_q_SL - mixed).exp().detach()

    @property
    def ratio(self) -> Tensor:
        """``q(y_t)`` now over ``q(y_t)`` at the sampling (S, L), with gradient; its value is 1 at the first step."""
        return (self.log_q_SL - self.old_log_q_SL).exp()

    def real(self, values: Tensor) -> Tensor:
        """Return the values with 0 behind the end of each answer."""
        return torch.where(self.is_real_SL, values, 0.0)


def reward_to_go(rewards_SL: Tensor, gamma: float = 1.0) -> Tensor:
    """Return ``sum_(k >= t) gamma^(k - t) r_k`` (S, L); rewards behind the end must be 0."""
    total = torch.zeros_like(rewards_SL[:, 0])
    found = []
    for rewards_S in reversed(rewards_SL.unbind(1)):
        total = rewards_S + gamma * total
        found.append(total)
    return torch.stack(found[::-1], dim=1)


def tokens_to_go(is_real_SL: Tensor) -> Tensor:
    """Return how many tokens stand at t or behind it (S, L)."""
    return reward_to_go(is_real_SL.long())


def leave_one_out(values_SL: Tensor, group_S: Tensor) -> Tensor:
    """Return the values minus the mean of the same position in the group's other answers (S, L).

    What is taken away does not depend on the answer itself, so the estimate stays unbiased. An answer that has ended
    counts with 0: nothing is to come. A group of one is left as it is.
    """
    groups, place_S = torch.unique(group_S, return_inverse=True)
    sums = values_SL.new_zeros(len(groups), values_SL.shape[1]).index_add(0, place_S, values_SL)
    others_S1 = torch.bincount(place_S)[place_S][:, None] - 1
    return torch.where(others_S1 > 0, values_SL - (sums[place_S] - values_SL) / others_S1.clamp_min(1), values_SL)


def clipped(advantages_SL: Tensor, ratio_SL: Tensor, clip: float) -> Tensor:
    """Return ``max(-A rho, -A clip(rho, 1 - e, 1 + e))`` (Schulman et al., arXiv:1707.06347, eq. 7)."""
    return torch.maximum(-advantages_SL * ratio_SL, -advantages_SL * ratio_SL.clamp(1.0 - clip, 1.0 + clip))


def as_in_the_paper(scores: Scores, teacher_mix: float, clip: float, length_norm: bool = True) -> Tensor:
    """Return ``w_t KL_t - w_t R_(t+1) log q(y_t)``, the second with the clipped ratio.

    With ``length_norm`` the reward to go is divided by the number of tokens behind t.

    Source:
        arXiv:2306.08543, section 2.2: single-step decomposition, teacher-mixed sampling, length normalisation.
    """
    weights = scores.weights(teacher_mix)
    future = reward_to_go(scores.sampled_rewards) - scores.sampled_rewards
    if length_norm:
        future = future / (tokens_to_go(scores.is_real_SL) - 1).clamp_min(1)
    return scores.real(weights * (scores.kl_SL + clipped(future, scores.ratio, clip)))


@dataclass(frozen=True)
class ReleasedOptions:
    """What the released code sets beside the paper: discount, size and scale of the rewards."""

    gamma: float = 0.95
    reward_clip: float = 100.0
    reward_scaling: float = 0.5


def as_released(scores: Scores, teacher_mix: float, clip: float, options: ReleasedOptions) -> Tensor:
    """Return what the published training script computes.

    It differs from the paper: the reward of the token itself is in its reward to go and again in the single-step part;
    rewards are scaled, clipped and discounted; the sum is divided by the tokens left, the own one included; advantages
    are whitened over all positions of the batch, padding included; the clip acts on ratio times weight; and the
    single-step part carries no weight.

    Source:
        microsoft/LMOps, minillm/minillm/losses.py and sampler.py, at commit 4f2a9de.
    """
    rewards = (scores.sampled_rewards / options.reward_scaling).clamp(-options.reward_clip, options.reward_clip)
    advantages = reward_to_go(rewards, options.gamma) / tokens_to_go(scores.is_real_SL).clamp_min(1)
    if advantages.numel() > 1:
        variance, mean = torch.var_mean(advantages)
        advantages = (advantages - mean) * torch.rsqrt(variance + 1e-8)
    ratio = scores.ratio * scores.weights(teacher_mix)
    return scores.real(scores.kl_SL + clipped(advantages, ratio, clip))


def with_less_variance(
    scores: Scores, group_S: Tensor, teacher_mix: float, clip: float, length_norm: bool = False
) -> Tensor:
    """Return ``KL_t - A_t log q(y_t)`` with ``A_t`` the expected reward to go minus that of the other answers.

    Unbiased without a mixture and without length normalisation: ``-KL_k`` is the mean of ``r_k`` given the words before
    it, and the baseline is independent of the answer. Nothing more is computed than for the single-step part.

    Source:
        Ours; Rao-Blackwellised rewards and the leave-one-out baseline (Kool et al., 2019) put together.
    """
    weights = scores.weights(teacher_mix)
    future = reward_to_go(scores.expected_rewards) - scores.expected_rewards
    if length_norm:
        future = future / (tokens_to_go(scores.is_real_SL) - 1).clamp_min(1)
    advantages = leave_one_out(future, group_S)
    return scores.real(weights * (scores.kl_SL + clipped(advantages, scores.ratio, clip)))
