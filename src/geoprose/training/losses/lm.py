"""Cross-entropy of answer tokens, with logits only where an answer is."""

# B rows, T tokens, D width of the language model, K answer positions, V vocabulary

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from geoprose.training.losses.base import Batch, Forward, StageLoss

if TYPE_CHECKING:
    from collections.abc import Callable

IGNORED_LABEL = -100


def causal_lm_loss_sum(hidden_BTD: Tensor, next_ids_BT: Tensor, lm_head: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the sum of -log p(next token) over answer positions, computed in float32 or wider.

    Args:
        hidden_BTD: Last hidden states of the backbone.
        next_ids_BT: Token that follows each position, -100 where nothing is to be learnt.
        lm_head: States (K, D) to logits (K, V).

    Returns:
        A scalar; 0 with a gradient path when there is no answer at all.
    """
    is_answer_BT = next_ids_BT != IGNORED_LABEL
    targets_K = next_ids_BT[is_answer_BT]
    if targets_K.numel() == 0:
        return hidden_BTD.sum() * 0.0
    logits_KV = lm_head(hidden_BTD[is_answer_BT])
    wide = logits_KV if logits_KV.dtype == torch.float64 else logits_KV.float()
    return F.cross_entropy(wide, targets_K, reduction="sum")


class LmLoss(StageLoss):
    """The language-modelling loss of a recipe."""

    def num_items(self, batch: Batch) -> float:
        """Return the number of answer tokens."""
        return float((batch["next_ids"] != IGNORED_LABEL).sum())

    def loss_sum(self, forward: Forward) -> Tensor:
        """Score the answer positions of the backbone's pass."""
        return causal_lm_loss_sum(forward.hidden, forward.batch["next_ids"], forward.model.lm_head)
