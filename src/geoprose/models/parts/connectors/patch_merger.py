"""Qwen2-VL's merger: neighbouring patches, normalised one by one, become one token."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import nn

from geoprose.core.errors import ConfigError
from geoprose.models.parts.connectors.unshuffle import unshuffle
from geoprose.models.parts.contracts import Connector

if TYPE_CHECKING:
    from torch import Tensor


class PatchMergerConnector(Connector):
    """Norm of each patch, concatenation of ``factor * factor`` neighbours (rows, columns, channels), two-layer MLP.

    token = W2 gelu(W1 [LN(x_1); ...; LN(x_4)] + b1) + b2, with W1 square.

    Args:
        in_size: Width E of a patch feature.
        out_size: Width D of the language model.
        factor: Patches merged along each edge.

    Source:
        arXiv:2409.12191 section 2.1; ``PatchMerger`` of transformers' Qwen2-VL.
    """

    def __init__(self, in_size: int, out_size: int, factor: int = 2) -> None:
        super().__init__(in_size, out_size)
        if factor < 1:
            raise ConfigError(f"A factor of {factor} is impossible; use 1 or more.")
        self.in_size = in_size
        self.out_size = out_size
        self.factor = factor
        merged_size = in_size * factor**2
        self.ln_q = nn.LayerNorm(in_size, eps=1e-6)
        self.layers = nn.Sequential(nn.Linear(merged_size, merged_size), nn.GELU(), nn.Linear(merged_size, out_size))

    def forward(self, features_NPE: Tensor) -> Tensor:
        """Return visual tokens (N, P / factor^2, D)."""
        return self.layers(unshuffle(self.ln_q(features_NPE), self.factor, "dyx_c"))  # type: ignore[no-any-return]

    def num_visual_tokens(self, num_patches: int) -> int:
        """Return ``num_patches / factor^2``.

        Raises:
            ConfigError: If the patches of a tile are no square grid that the factor divides.
        """
        side = math.isqrt(num_patches)
        if side**2 != num_patches or side % self.factor:
            raise ConfigError(
                f"connector patch_merger cannot merge {self.factor}x{self.factor} neighbours of the {num_patches} "
                "features per tile that the vision encoder gives; choose an encoder without class token, or another "
                "factor."
            )
        return num_patches // self.factor**2
