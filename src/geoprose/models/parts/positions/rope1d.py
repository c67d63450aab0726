"""One position per token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.models.parts.contracts import Positions

if TYPE_CHECKING:
    from torch import Tensor

    from geoprose.models.inputs import TextInputs, Visuals


class Rope1d(Positions):
    """One position per token, text and visual alike; padding does not count."""

    def build(self, text: TextInputs, visuals: Visuals | None) -> Tensor | None:
        """Return position ids for a 2-D padding mask, else None (the language model counts 0, 1, 2, ...)."""
        mask = text.attention_mask
        if mask is None or mask.ndim != 2 or mask.shape[1] != text.past_length + text.length:
            return None
        positions = mask.long().cumsum(-1) - 1
        return positions.clamp(min=0)[:, -text.length :]
