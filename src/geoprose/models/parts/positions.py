"""Position schemes of the language model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.models.parts.contracts import Positions

if TYPE_CHECKING:
    from torch import Tensor


class Rope1d(Positions):
    """One position per token, text and visual alike; padding does not count."""

    def build(self, attention_mask: Tensor | None, past_length: int, text_length: int) -> Tensor | None:
        """Return position ids for a 2-D padding mask, else None (the language model counts 0, 1, 2, ...).

        Args:
            attention_mask: (B, past + T) with 1 for real tokens; other masks carry no padding information.
            past_length: Tokens already in the cache.
            text_length: Tokens T of this call.
        """
        if attention_mask is None or attention_mask.ndim != 2 or attention_mask.shape[1] != past_length + text_length:
            return None
        positions = attention_mask.long().cumsum(-1) - 1
        return positions.clamp(min=0)[:, -text_length:]
