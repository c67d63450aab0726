"""Cross-entropy of answer tokens, with logits only where an answer is."""

# B rows, T tokens, D width of the language model, K answer positions, V vocabulary

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from geoprose.training.losses.base import Batch, Forward, StageLoss

if TYPE_CHECKING:
    from collections.abc import Callable

IGNORED_LABEL = -100


POWERS = {"token": 0.0, "square": 0.5, "sample": 1.0}


def sample_weights(next_ids_BT: Tensor, sample_of_BT: Tensor, power: float) -> Tensor:
    """Return the weight ``n^-power`` of each answer position (K), with n the answer tokens of its sample.

    A sample then counts ``n^(1 - power)``: as many times as it has tokens (0), their square root (0.5), or once (1).

    Args:
        next_ids_BT: Token that follows each position, -100 where nothing is to be learnt.
        sample_of_BT: Number of the sample that each position belongs to.
        power: From 0 to 1.

    Source:
        Chen et al., InternVL 2.5, arXiv:2412.05271 ("square averaging"); ``loss_reduction`` of OpenGVLab/InternVL.
    """
    samples_K = sample_of_BT[next_ids_BT != IGNORED_LABEL]
    return samples_K.bincount()[samples_K].float() ** -power


def causal_lm_loss_sum(
    hidden_BTD: Tensor,
    next_ids_BT: Tensor,
    lm_head: Callable[[Tensor], Tensor],
    label_smoothing: float = 0.0,
    weights_K: Tensor | None = None,
) -> Tensor:
    """Return the sum of -log p(next token) over answer positions, computed in float32 or wider.

    Args:
        hidden_BTD: Last hidden states of the backbone.
        next_ids_BT: Token that follows each position, -100 where nothing is to be learnt.
        lm_head: States (K, D) to logits (K, V).
        label_smoothing: Share e of the target that is spread evenly: -(1 - e) log p(next) - e mean over V of log p.
        weights_K: Factor of each answer position; none: 1.

    Returns:
        A scalar; 0 with a gradient path when there is no answer at all.

    Source:
        Label smoothing: Szegedy et al., arXiv:1512.00567, section 7.
    """
    is_answer_BT = next_ids_BT != IGNORED_LABEL
    targets_K = next_ids_BT[is_answer_BT]
    if targets_K.numel() == 0:
        return hidden_BTD.sum() * 0.0
    return _loss_sum(hidden_BTD[is_answer_BT], targets_K, weights_K, lm_head, label_smoothing)


def chunked_lm_loss_sum(
    hidden_BTD: Tensor,
    next_ids_BT: Tensor,
    lm_head: Callable[[Tensor], Tensor],
    chunk_tokens: int,
    label_smoothing: float = 0.0,
    weights_K: Tensor | None = None,
) -> Tensor:
    """Return what ``causal_lm_loss_sum`` returns, with the logits of ``chunk_tokens`` answer tokens at a time.

    A chunk's logits are dropped after its loss and computed again for its gradient: the largest tensor is
    (chunk_tokens, V) instead of (K, V), and the head runs once more.
    """
    is_answer_BT = next_ids_BT != IGNORED_LABEL
    targets_K = next_ids_BT[is_answer_BT]
    if targets_K.numel() == 0:
        return hidden_BTD.sum() * 0.0
    states = torch.split(hidden_BTD[is_answer_BT], chunk_tokens)
    targets = torch.split(targets_K, chunk_tokens)
    weights = [None] * len(states) if weights_K is None else torch.split(weights_K, chunk_tokens)
    sums = [
        checkpoint(_loss_sum, states_CD, targets_C, weights_C, lm_head, label_smoothing, use_reentrant=False)
        for states_CD, targets_C, weights_C in zip(states, targets, weights, strict=True)
    ]
    return torch.stack(sums).sum()


def _loss_sum(
    hidden_KD: Tensor,
    targets_K: Tensor,
    weights_K: Tensor | None,
    lm_head: Callable[[Tensor], Tensor],
    label_smoothing: float,
) -> Tensor:
    logits_KV = lm_head(hidden_KD)
    wide = logits_KV if logits_KV.dtype == torch.float64 else logits_KV.float()
    if weights_K is None:
        return F.cross_entropy(wide, targets_K, reduction="sum", label_smoothing=label_smoothing)
    losses_K = F.cross_entropy(wide, targets_K, reduction="none", label_smoothing=label_smoothing)
    return (losses_K * weights_K).sum()


class LmLoss(StageLoss):
    """The language-modelling loss of a recipe."""

    def num_items(self, batch: Batch) -> float:
        """Return the number of answer tokens, or the sum of their weights."""
        if self.spec.reduction == "token":
            return float((batch["next_ids"] != IGNORED_LABEL).sum())
        return float(self._weights(batch).sum())

    def loss_sum(self, forward: Forward) -> Tensor:
        """Score the answer positions of the backbone's pass."""
        spec, batch, head = self.spec, forward.batch, forward.model.lm_head
        weights_K = None if spec.reduction == "token" else self._weights(batch)
        if spec.chunk_tokens is None:
            return causal_lm_loss_sum(forward.hidden, batch["next_ids"], head, spec.label_smoothing, weights_K)
        return chunked_lm_loss_sum(
            forward.hidden, batch["next_ids"], head, spec.chunk_tokens, spec.label_smoothing, weights_K
        )

    def _weights(self, batch: Batch) -> Tensor:
        return sample_weights(batch["next_ids"], batch["sample_of"], POWERS[self.spec.reduction])
