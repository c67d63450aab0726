"""Cross-entropy of answer tokens, with logits only where an answer is."""

# B rows, T tokens, D width of the language model, K answer positions, V vocabulary

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from geoprose.training.losses.base import Batch, StageLoss

if TYPE_CHECKING:
    from collections.abc import Callable

IGNORED_LABEL = -100
_MODEL_INPUTS = ("input_ids", "attention_mask", "position_ids", "pixel_values", "vision_features")


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

    def loss_sum(self, model: Any, batch: Batch) -> Tensor:
        """Run the backbone once and score its answer positions."""
        inputs = {key: batch[key] for key in _MODEL_INPUTS if batch.get(key) is not None}
        if model.model.positions.is_owner:
            inputs.pop("position_ids", None)
        inputs["attention_mask"] = additive_mask(inputs["attention_mask"], _embedding_dtype(model))
        hidden_BTD = model.model(**inputs, use_cache=False).last_hidden_state
        return causal_lm_loss_sum(hidden_BTD, batch["next_ids"], model.lm_head)


def additive_mask(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Turn a 4-D boolean mask (True: may attend) into the additive one every attention backend takes."""
    if mask.dim() != 4 or mask.dtype != torch.bool:
        return mask
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, torch.finfo(dtype).min)


def _embedding_dtype(model: Any) -> torch.dtype:
    dtype: torch.dtype = model.get_input_embeddings().weight.dtype
    return dtype
