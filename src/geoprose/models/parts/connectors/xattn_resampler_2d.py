"""Qwen-VL's adapter: learned queries read the patches in one cross-attention that knows where each stands."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn

from geoprose.core.errors import ConfigError, ModelError
from geoprose.models.parts.connectors.sincos import sincos_2d
from geoprose.models.parts.contracts import Connector
from geoprose.models.parts.encoders.position_table import resize_position_table

if TYPE_CHECKING:
    from torch import Tensor

HEAD_WIDTH = 128
EPS = 1e-6


class XattnResampler2dConnector(Connector):
    """Compress a tile of any square grid to a fixed grid of tokens.

    tokens = LN(Attention(LN(q) + p_q, LN(W x) + p_k, LN(W x))) A, with the sine and cosine of column and row as p_q,
    and the same table interpolated to the grid of the patches as p_k. The values carry no position.

    Args:
        in_size: Width E of a patch feature.
        out_size: Width D of the language model; the attention works in it.
        num_queries: Visual tokens of a tile, a square number.
        num_heads: Heads; by default as many as are 128 wide.

    Source:
        arXiv:2308.12966 section 2.1 ("Position-aware Vision-Language Adapter"); ``Resampler``, ``ln_post`` and ``proj``
        of the published code.
    """

    def __init__(self, in_size: int, out_size: int, num_queries: int = 256, num_heads: int | None = None) -> None:
        super().__init__(in_size, out_size)
        self.grid_side = math.isqrt(num_queries)
        heads = num_heads or out_size // HEAD_WIDTH
        if self.grid_side**2 != num_queries or num_queries < 1:
            raise ConfigError(f"connector.num_queries must be a square number, got {num_queries}.")
        if heads < 1 or out_size % heads or out_size % 4:
            raise ConfigError(
                f"connector xattn_resampler_2d cannot split a width of {out_size} into {heads} heads and four quarters "
                "of sines and cosines; set connector.num_heads, and a language model whose width 4 divides."
            )
        self.in_size = in_size
        self.out_size = out_size
        self.query = nn.Parameter(torch.empty(num_queries, out_size))
        # The published code leaves the projection out where both widths are equal.
        self.kv_proj = nn.Identity() if in_size == out_size else nn.Linear(in_size, out_size, bias=False)
        self.ln_q = nn.LayerNorm(out_size, eps=EPS)
        self.ln_kv = nn.LayerNorm(out_size, eps=EPS)
        self.attn = nn.MultiheadAttention(out_size, heads, batch_first=True)
        self.ln_post = nn.LayerNorm(out_size, eps=EPS)
        self.proj = nn.Linear(out_size, out_size, bias=False)
        self.init_weights()

    def forward(self, features_NPE: Tensor) -> Tensor:
        """Return visual tokens (N, num_queries, D).

        Raises:
            ModelError: If the patches are no square grid.
        """
        side = math.isqrt(features_NPE.shape[1])
        if side**2 != features_NPE.shape[1]:
            raise ModelError(
                f"connector xattn_resampler_2d needs the patches of square tiles, got {features_NPE.shape[1]} patches."
            )
        values_NPD = self.ln_kv(self.kv_proj(features_NPE))
        table_VD = sincos_2d(self.out_size, self.grid_side, values_NPD.device)
        keys_NPD = values_NPD + resize_position_table(table_VD, 0, side).to(values_NPD.dtype)
        query_VD = self.ln_q(self.query) + table_VD.to(values_NPD.dtype)
        queries_NVD = query_VD.expand(len(features_NPE), -1, -1)
        tokens_NVD, _ = self.attn(queries_NVD, keys_NPD, values_NPD, need_weights=False)
        return self.proj(self.ln_post(tokens_NVD))  # type: ignore[no-any-return]

    def num_visual_tokens(self, num_patches: int) -> int:
        """Return the queries, whatever the patches.

        Raises:
            ConfigError: If the patches of a tile are no square grid.
        """
        if math.isqrt(num_patches) ** 2 != num_patches:
            raise ConfigError(
                f"connector xattn_resampler_2d needs the patches of square tiles, but the vision encoder gives "
                f"{num_patches} features per tile; choose an encoder without class token."
            )
        return len(self.query)

    def init_weights(self) -> None:
        """Draw the queries as the published code does."""
        nn.init.trunc_normal_(self.query, std=0.02)
