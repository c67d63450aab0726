"""Two encoders of one grid: project both to half the width, put the halves side by side, mix."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from geoprose.core.errors import ConfigError
from geoprose.models.parts.contracts import Connector


class HybridConcatConnector(Connector):
    """y = W [W_high h ; W_low l] with the activation before W; the high-resolution half comes first.

    Args:
        in_size: Width of a feature: low resolution first, the last ``high_size`` channels high resolution.
        out_size: Width of the language model, even.
        high_size: Channels of the high-resolution encoder.
        activation: Activation between the layers.

    Source:
        arXiv:2403.05525 section 3.1; ``low_high_hybrid_split_mlp_gelu`` of deepseek-ai/DeepSeek-VL.
    """

    def __init__(self, in_size: int, out_size: int, high_size: int = 1024, activation: str = "gelu") -> None:
        super().__init__(in_size, out_size)
        if not 0 < high_size < in_size or out_size % 2:
            raise ConfigError(
                f"hybrid_concat cannot split {in_size} channels into low ones and {high_size} high ones and give each "
                f"half of {out_size}; set connector.high_size to the width of the high-resolution encoder."
            )
        if activation not in ACT2FN:
            raise ConfigError(f"Unknown activation {activation!r}; use a name of transformers, such as gelu or silu.")
        self.in_size = in_size
        self.out_size = out_size
        self.high_size = high_size
        self.low = nn.Linear(in_size - high_size, out_size // 2)
        self.high = nn.Linear(high_size, out_size // 2)
        self.activation = ACT2FN[activation]
        self.mix = nn.Linear(out_size, out_size)

    def forward(self, features_NPE: Tensor) -> Tensor:
        """Return visual tokens (N, P, D), one per patch."""
        low, high = torch.split(features_NPE, [self.in_size - self.high_size, self.high_size], dim=-1)
        return self.mix(self.activation(torch.cat([self.high(high), self.low(low)], dim=-1)))  # type: ignore[no-any-return]

    def num_visual_tokens(self, num_patches: int) -> int:
        """Return ``num_patches``."""
        return num_patches
