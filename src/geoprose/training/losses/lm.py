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


def causal_lm_loss_sum(
    hidden_BTD: Tensor, next_ids_BT: Tensor, lm_head: Callable[[Tensor], Tensor], label_smoothing: float = 0.0
) -> Tensor:
    """Return the sum of -log p(next token) over answer positions, computed in float32 or wider.

    Args:
        hidden_BTD: Last hidden states of the backbone.
        next_ids_BT: Token that follows each position, -100 where nothing is to be learnt.
        lm_head: States (K, D) to logits (K, V).
        label_smoothing: Share e of the target that is spread evenly: -(1 - e) log p(next) - e mean over V of log p.

    Returns:
        A scalar; 0 with a gradient path when there is no answer at all.

    Source:
        Label smoothing: Szegedy et al., arXiv:1512.00567, section 7.
    """
    is_answer_BT = next_ids_BT != IGNORED_LABEL
    targets_K = next_ids_BT[is_answer_BT]
    if targets_K.numel() == 0:
        return hidden_BTD.sum() * 0.0
    return _loss_sum(hidden_BTD[is_answer_BT], targets_K, lm_head, label_smoothing)


def chunked_lm_loss_sum(
    hidden_BTD: Tensor,
    next_ids_BT: Tensor,
    lm_head: Callable[[Tensor], Tensor],
    chunk_tokens: int,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Return what ``causal_lm_loss_sum`` returns, with the logits of ``chunk_tokens`` answer tokens at a time.

    A chunk's logits are dropped after its loss and computed again for its gradient: the largest tensor is
    (chunk_tokens, V) instead of (K, V), and the head runs once more.
    """
    is_answer_BT = next_ids_BT != IGNORED_LABEL
    targets_K = next_ids_BT[is_answer_BT]
    if targets_K.numel() == 0:
        return hidden_BTD.sum() * 0.0
    hidden_KD = hidden_BTD[is_answer_BT]
    chunks = zip(torch.split(hidden_KD, chunk_tokens), torch.split(targets_K, chunk_tokens), strict=True)
    sums = [
        checkpoint(_loss_sum, hidden_CD, targets_C, lm_head, label_smoothing, use_reentrant=False)
        for hidden_CD, targets_C in chunks
    ]
    return torch.stack(sums).sum()


def _loss_sum(
    hidden_KD: Tensor, targets_K: Tensor, lm_head: Callable[[Tensor], Tensor], label_smoothing: float
) -> Tensor:
    logits_KV = lm_head(hidden_KD)
    wide = logits_KV if logits_KV.dtype == torch.float64 else logits_KV.float()
    return F.cross_entropy(wide, targets_K, reduction="sum", label_smoothing=label_smoothing)


class LmLoss(StageLoss):
    """The language-modelling loss of a recipe."""

    def num_items(self, batch: Batch) -> float:
        """Return the number of answer tokens."""
        return float((batch["next_ids"] != IGNORED_LABEL).sum())

    def loss_sum(self, forward: Forward) -> Tensor:
        """Score the answer positions of the backbone's pass."""
        hidden, next_ids, head = forward.hidden, forward.batch["next_ids"], forward.model.lm_head
        if self.spec.chunk_tokens is None:
            return causal_lm_loss_sum(hidden, next_ids, head, self.spec.label_smoothing)
        return chunked_lm_loss_sum(hidden, next_ids, head, self.spec.chunk_tokens, self.spec.label_smoothing)
