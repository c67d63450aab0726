"""Attention masks on their way into the language model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from geoprose.core.errors import ProcessingError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


def prepare_attention_mask(
    attention_mask: Tensor | None, embeds_BTD: Tensor, config: PreTrainedConfig, use_cache: bool | None
) -> Tensor | None:
    """Pass padding masks on; bring a 4-D mask to the form and dtype that the attention backend adds.

    Args:
        attention_mask: None, (B, past + T), or (B, 1, T, T) bool or additive.
        embeds_BTD: Embeddings whose dtype an additive mask must have.
        config: The language model's config; names the attention backend.
        use_cache: A 4-D mask describes the whole sequence, so a cache is refused with it.

    Raises:
        ProcessingError: If a 4-D mask comes with ``use_cache=True``.
    """
    if attention_mask is None or attention_mask.ndim != 4:
        return attention_mask
    if use_cache:
        raise ProcessingError("A 4-D attention mask covers the whole packed sequence; pass use_cache=False with it.")
    if attention_mask.dtype != torch.bool:
        return attention_mask.to(embeds_BTD.dtype)
    if config._attn_implementation == "sdpa":
        return attention_mask
    blocked = torch.finfo(embeds_BTD.dtype).min
    return torch.zeros_like(attention_mask, dtype=embeds_BTD.dtype).masked_fill(~attention_mask, blocked)
