"""Qwen-VL's vision encoder: OpenCLIP's ViT-bigG without class token, its position table interpolated as it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import CLIPVisionModel

from geoprose.core.errors import ConfigError
from geoprose.models.parts.encoders.hf import HfEncoder
from geoprose.models.parts.encoders.position_table import resize_position_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from transformers import PreTrainedConfig


class BiggEncoder(HfEncoder):
    """A CLIP tower with a norm before its blocks, no class token and no norm behind them.

    Args:
        config: ``CLIPVisionConfig``; ``image_size`` decides the grid, not the position table.
        feature_layer: See ``HfEncoder``; None is the output of the last block.
        pool: See ``HfEncoder``.
        final_norm: False; the published encoder has none.
        truncate: See ``HfEncoder``.
        table_side: Side of the position table, patches. Qwen-VL keeps the 16x16 table of 224 px and interpolates it to
            32x32 in every pass, so the gradient of a 448 px picture reaches the small table.

    Source:
        arXiv:2308.12966 section 2.1; ``VisionTransformer`` of the published code (``ln_pre``, ``get_abs_pos``).
    """

    model_type = "clip_vision_model"
    _num_prefix = 0
    _table = "embeddings.position_embedding"
    _blocks = "encoder.layers"
    _final_norm = ""

    def __init__(
        self,
        config: PreTrainedConfig,
        feature_layer: int | Sequence[int] | None = None,
        pool: int = 1,
        final_norm: bool = False,
        truncate: bool = False,
        table_side: int = 16,
    ) -> None:
        if final_norm or table_side < 1:
            raise ConfigError("vision_encoder bigg has no final norm, and a table_side of at least 1.")
        self._table_side = table_side
        super().__init__(config, feature_layer, pool, final_norm, truncate)

    def _build_tower(self, config: PreTrainedConfig) -> Any:
        tower = CLIPVisionModel._from_config(config)
        tower.embeddings = InterpolatedEmbeddings(config, self._table_side)
        tower.post_layernorm = nn.Identity()
        return tower

    def _head_prefixes(self) -> tuple[str, ...]:
        return ()

    def position_table_side(self) -> int:
        """Return the side of the stored table; the picture's grid does not change it."""
        return self._table_side


class InterpolatedEmbeddings(nn.Module):
    """Patches plus a position table that is brought to their grid, bicubic; pictures are square.

    Shapes: N tiles, P patches, E width.

    Source:
        ``get_abs_pos`` of the published Qwen-VL code.
    """

    def __init__(self, config: PreTrainedConfig, table_side: int) -> None:
        super().__init__()
        self.table_side = table_side
        size = int(config.patch_size)
        self.patch_embedding = nn.Conv2d(config.num_channels, config.hidden_size, size, stride=size, bias=False)
        self.position_embedding = nn.Parameter(
            torch.randn(table_side**2, config.hidden_size) * config.hidden_size**-0.5
        )

    def forward(self, pixel_values: Tensor, interpolate_pos_encoding: bool | None = None) -> Tensor:
        """Return (N, P, E); the table is always interpolated, whatever the caller asks for."""
        patches_NEhw: Tensor = self.patch_embedding(pixel_values.to(self.patch_embedding.weight.dtype))
        table_PE = resize_position_table(self.position_embedding, 0, patches_NEhw.shape[-1])
        return patches_NEhw.flatten(2).transpose(1, 2) + table_PE
