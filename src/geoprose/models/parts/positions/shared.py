"""All patches of a picture share one position."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from geoprose.core.errors import ConfigError
from geoprose.models.parts.positions.segments import SegmentPositions

if TYPE_CHECKING:
    from torch import Tensor

    from geoprose.models.inputs import Visuals


class SharedPositions(SegmentPositions):
    """Ids (B, T): the patches of a visual share one id, so that a large picture does not push the text far away.

    Args:
        num_end_tokens: Visual tokens at each end of a visual that have ids of their own: CogVLM puts one learned token
            before its patches and one behind them. 0 where only patches stand for a visual.

    Source:
        arXiv:2311.03079 section 2.2 ("Position embedding"); ``build_position_ids`` of the published CogVLM2 code. It
        counts from 1 in rows with padding on the left, ours from 0; a rotary embedding sees differences only.
    """

    def __init__(self, num_end_tokens: int = 1) -> None:
        if num_end_tokens < 0:
            raise ConfigError(f"position.num_end_tokens must be at least 0, got {num_end_tokens}.")
        self.num_end_tokens = num_end_tokens

    def place(self, visuals: Visuals, index: int) -> tuple[Tensor, int]:
        """Return the ids (1, n) of a visual that starts at id 0, and the id of the text behind it."""
        num_tokens = len(visuals.tokens[index])
        is_new_N = torch.zeros(num_tokens, dtype=torch.long)
        is_new_N[: self.num_end_tokens + 1] = 1
        is_new_N[max(0, num_tokens - self.num_end_tokens) :] = 1
        ids_N = is_new_N.cumsum(-1) - 1
        return ids_N[None], int(ids_N[-1]) + 1 if num_tokens else 0
