"""Flamingo's resampler: a fixed number of learned queries read the patches of a picture.

Shapes: N tiles, P patches, E encoder width, R latents, h heads, d width of a head.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import initialization
from transformers.activations import ACT2FN

from geoprose.core.errors import ConfigError
from geoprose.models.parts.contracts import Connector


def split_heads(tensor_BTC: Tensor, head_dim: int) -> Tensor:
    """Return (B, h, T, d) of (B, T, h * d)."""
    return tensor_BTC.view(*tensor_BTC.shape[:-1], -1, head_dim).transpose(1, 2)


class PerceiverAttention(nn.Module):
    """Latents attend to patches and to themselves: keys and values are made of ``[x; z]``, no bias anywhere."""

    def __init__(self, width: int, num_heads: int, head_dim: int, qk_norm: bool) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.context_norm = nn.LayerNorm(width)
        self.latent_norm = nn.LayerNorm(width)
        self.q_proj = nn.Linear(width, num_heads * head_dim, bias=False)
        self.k_proj = nn.Linear(width, num_heads * head_dim, bias=False)
        self.v_proj = nn.Linear(width, num_heads * head_dim, bias=False)
        self.out_proj = nn.Linear(num_heads * head_dim, width, bias=False)
        self.q_norm = nn.LayerNorm(head_dim) if qk_norm else nn.Identity()
        self.k_norm = nn.LayerNorm(head_dim) if qk_norm else nn.Identity()

    def forward(self, context_NPE: Tensor, latents_NRE: Tensor) -> Tensor:
        """Return what the latents read (N, R, E)."""
        latents_NRE = self.latent_norm(latents_NRE)
        read_NKE = torch.cat([self.context_norm(context_NPE), latents_NRE], dim=1)
        q = self.q_norm(split_heads(self.q_proj(latents_NRE), self.head_dim))
        k = self.k_norm(split_heads(self.k_proj(read_NKE), self.head_dim))
        v = split_heads(self.v_proj(read_NKE), self.head_dim)
        return self.out_proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class FeedForward(nn.Module):
    """LayerNorm, linear, activation, linear; no bias."""

    def __init__(self, width: int, hidden_size: int, activation: str) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up_proj = nn.Linear(width, hidden_size, bias=False)
        self.act_fn = ACT2FN[activation]
        self.down_proj = nn.Linear(hidden_size, width, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return (..., E)."""
        return self.down_proj(self.act_fn(self.up_proj(self.norm(hidden))))  # type: ignore[no-any-return]


class PerceiverBlock(nn.Module):
    """``z = z + Attention(z, [x; z])``, then ``z = z + FeedForward(z)``."""

    def __init__(self, attention: PerceiverAttention, feed_forward: FeedForward) -> None:
        super().__init__()
        self.attention = attention
        self.feed_forward = feed_forward

    def forward(self, context_NPE: Tensor, latents_NRE: Tensor) -> Tensor:
        """Return the latents (N, R, E) after one block."""
        latents_NRE = self.attention(context_NPE, latents_NRE) + latents_NRE
        return self.feed_forward(latents_NRE) + latents_NRE  # type: ignore[no-any-return]


class PerceiverConnector(Connector):
    """R learned latents resample the patches of a tile, whatever their number.

    Args:
        in_size: Width E of a patch feature, and of the latents.
        out_size: Width D of the language model.
        num_latents: R, visual tokens per tile.
        depth: Blocks.
        num_heads: Heads of the attention.
        head_dim: Width of a head.
        mlp_ratio: Hidden width of the feed-forward over E.
        activation: Of the feed-forward; ``relu2`` is Flamingo's squared ReLU, Idefics has ``relu``.
        qk_norm: LayerNorm on queries and keys, per head (Idefics-1).
        project: Add a linear layer to D. Without it tokens keep the width E, which only a fusion that has a projection
            of its own (``gated_cross_attention`` with ``visual_width: E``) can read; Flamingo and Idefics are so.

    Source:
        arXiv:2204.14198 section 3.1.1 and figure 5; sizes and bias as in ``PerceiverResampler`` of
        mlfoundations/open_flamingo and ``IdeficsPerceiverResampler`` of transformers.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the options of the preset
        self,
        in_size: int,
        out_size: int,
        num_latents: int = 64,
        depth: int = 6,
        num_heads: int = 8,
        head_dim: int = 64,
        mlp_ratio: int = 4,
        activation: str = "relu2",
        qk_norm: bool = False,
        project: bool = True,
    ) -> None:
        super().__init__(in_size, out_size)
        if min(num_latents, depth, num_heads, head_dim, mlp_ratio) < 1:
            raise ConfigError("A perceiver needs at least one latent, block, head, and width; all counts must be >= 1.")
        if activation not in ACT2FN:
            raise ConfigError(f"Unknown activation {activation!r}; use a name of transformers, such as relu2 or gelu.")
        self.in_size = in_size
        self.out_size = out_size if project else in_size
        self.latents = nn.Parameter(torch.randn(num_latents, in_size))
        self.blocks = nn.ModuleList(
            PerceiverBlock(
                PerceiverAttention(in_size, num_heads, head_dim, qk_norm),
                FeedForward(in_size, in_size * mlp_ratio, activation),
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(in_size)
        self.projection = nn.Linear(in_size, out_size) if project else nn.Identity()

    def forward(self, features_NPE: Tensor) -> Tensor:
        """Return visual tokens (N, R, D), or (N, R, E) without a projection."""
        latents_NRE = self.latents.expand(features_NPE.shape[0], -1, -1)
        for block in self.blocks:
            latents_NRE = block(features_NPE, latents_NRE)
        return self.projection(self.norm(latents_NRE))  # type: ignore[no-any-return]

    def num_visual_tokens(self, num_patches: int) -> int:
        """Return R."""
        return self.latents.shape[0]

    def init_weights(self) -> None:
        """Draw the latents from the standard normal distribution."""
        initialization.normal_(self.latents)
