"""CogVLM2's connector: a convolution halves the grid, a gated unit maps it, two learned tokens enclose it.

Shapes: N tiles, P patches, E encoder width, V visual tokens, D language-model width.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import initialization

from geoprose.core.errors import ConfigError
from geoprose.models.parts.contracts import Connector


class ConvGluConnector(Connector):
    """``[s; W3(silu(Wg h) * Wu h); e]`` with ``h = GELU(LN(W1 Conv(x)))``; s and e are learned tokens.

    Args:
        in_size: Width E.
        out_size: Width D.
        hidden_size: Hidden width of the gated unit.
        factor: Side and stride of the convolution; 1 for none (CogVLM).

    Source:
        arXiv:2408.16500 section 2.1; ``EVA2CLIPModel`` and ``GLU`` of the published CogVLM2 code (visual.py).
    """

    def __init__(self, in_size: int, out_size: int, hidden_size: int | None = None, factor: int = 2) -> None:
        super().__init__(in_size, out_size)
        if factor < 1:
            raise ConfigError(f"connector.factor must be 1 or more, got {factor}.")
        self.in_size = in_size
        self.out_size = out_size
        self.factor = factor
        hidden = hidden_size or 4 * out_size
        self.conv = nn.Conv2d(in_size, in_size, factor, factor) if factor > 1 else None
        self.linear = nn.Linear(in_size, out_size, bias=False)
        self.norm = nn.LayerNorm(out_size)
        self.gate_proj = nn.Linear(out_size, hidden, bias=False)
        self.up_proj = nn.Linear(out_size, hidden, bias=False)
        self.down_proj = nn.Linear(hidden, out_size, bias=False)
        self.start_token = nn.Parameter(torch.zeros(out_size))
        self.end_token = nn.Parameter(torch.zeros(out_size))

    def forward(self, features_NPE: Tensor) -> Tensor:
        """Return visual tokens (N, P / factor^2 + 2, D).

        Raises:
            ModelError: If the patches are no square grid that ``factor`` divides.
        """
        n, p, _ = features_NPE.shape
        hidden = F.gelu(self.norm(self.linear(self._merged(features_NPE, self._side(p)))))
        tokens = self.down_proj(F.silu(self.gate_proj(hidden)) * self.up_proj(hidden))
        start, end = (token.expand(n, 1, -1) for token in (self.start_token, self.end_token))
        return torch.cat([start, tokens, end], dim=1)

    def _merged(self, features_NPE: Tensor, side: int) -> Tensor:
        if self.conv is None:
            return features_NPE
        grid_NEHW = features_NPE.transpose(1, 2).reshape(len(features_NPE), self.in_size, side, side)
        merged: Tensor = self.conv(grid_NEHW).flatten(2).transpose(1, 2)
        return merged

    def _side(self, num_patches: int) -> int:
        side = math.isqrt(num_patches)
        if side**2 != num_patches or side % self.factor:
            raise ConfigError(
                f"{num_patches} patches are no square grid that a convolution of side {self.factor} divides; change "
                "resolution.image_size or connector.factor."
            )
        return side

    def num_visual_tokens(self, num_patches: int) -> int:
        """Return ``num_patches / factor^2 + 2``."""
        return (self._side(num_patches) // self.factor) ** 2 + 2

    def init_weights(self) -> None:
        """Start both tokens at zero."""
        initialization.zeros_(self.start_token)
        initialization.zeros_(self.end_token)
