"""One transformer over the dates and sensors of a cell; an extra token gathers what they say.

Shapes: B cells of all places, M tokens of a cell, I input width, D width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geoprose.core.errors import ConfigError
from geoprose.models.dense.layers import FeedForward


class SelfAttention(nn.Module):
    """``y = x + W_o attention(n(x))``."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        if width % num_heads:
            raise ConfigError(f"The width {width} of the fusion is not a multiple of its {num_heads} heads.")
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.num_heads = num_heads

    def forward(self, x_BMD: Tensor) -> Tensor:
        """Return a tensor of the same shape."""
        parts = self.qkv(self.norm(x_BMD)).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        found = F.scaled_dot_product_attention(parts[0], parts[1], parts[2])
        y: Tensor = x_BMD + self.out(found.transpose(1, 2).flatten(2))
        return y


class FusionTransformer(nn.Module):
    """``[e; W x_1; ...; W x_M]`` through pre-norm blocks; the output is that of the extra token e.

    Args:
        input_dim: I.
        width: D.
        num_layers: Blocks.
        num_heads: Heads.

    Source:
        SkySense, arXiv:2312.10115, section 3.1; sizes of kang-wu/SkySensePlusPlus, configs/pretrain_skysensepp.yml.
    """

    def __init__(self, input_dim: int, width: int, num_layers: int, num_heads: int) -> None:
        super().__init__()
        self.project = nn.Linear(input_dim, width)
        self.extra = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.attend = nn.ModuleList(SelfAttention(width, num_heads) for _ in range(num_layers))
        self.forwards = nn.ModuleList(FeedForward(width) for _ in range(num_layers))

    def forward(self, tokens_BMI: Tensor) -> Tensor:
        """Return (B, D)."""
        x = torch.cat([self.extra.expand(len(tokens_BMI), -1, -1), self.project(tokens_BMI)], dim=1)
        for attend, forward in zip(self.attend, self.forwards, strict=True):
            x = forward(attend(x))
        return x[:, 0]
