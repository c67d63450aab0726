"""SigLIP 2 as published for any aspect ratio (NaFlex), here on square tiles: it takes patches, not pixels.

At a fixed size SigLIP 2 is SigLIP's graph: use ``siglip`` for those checkpoints.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import Siglip2VisionModel

from geoprose.models.parts.encoders.hf import HfEncoder

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


class Siglip2Encoder(HfEncoder):
    """SigLIP 2 NaFlex (no class token; the final layer passes through ``post_layernorm``).

    The position table keeps its own grid of ``num_patches``; the model itself brings it to the tile's grid.

    Source:
        arXiv:2502.14786; ``Siglip2VisionModel`` and ``convert_image_to_patches`` of transformers.
    """

    model_type = "siglip2_vision_model"
    _num_prefix = 0
    _table = "embeddings.position_embedding.weight"
    _blocks = "encoder.layers"
    _final_norm = "post_layernorm"

    def _build_tower(self, config: PreTrainedConfig) -> Any:
        return Siglip2VisionModel._from_config(config)

    def _head_prefixes(self) -> tuple[str, ...]:
        return ("head",) if not self._layers or self.has_final_norm else ("head", "post_layernorm")

    def _run(self, pixels_NCHW: Tensor, **kwargs: Any) -> Any:
        patches_NPK = self._patches(pixels_NCHW)
        num_tiles, num_patches, _ = patches_NPK.shape
        rows, columns = pixels_NCHW.shape[-2] // self.patch_size, pixels_NCHW.shape[-1] // self.patch_size
        shapes_N2 = torch.tensor([[rows, columns]], device=patches_NPK.device).expand(num_tiles, 2)
        mask_NP = torch.ones(num_tiles, num_patches, dtype=torch.long, device=patches_NPK.device)
        return self.tower(patches_NPK, pixel_attention_mask=mask_NP, spatial_shapes=shapes_N2, **kwargs)

    def _patches(self, pixels_NCHW: Tensor) -> Tensor:
        """Cut tiles into patches (N, P, patch * patch * C); the channels of a pixel lie side by side."""
        side = self.patch_size
        n, c, height, width = pixels_NCHW.shape
        grid = pixels_NCHW.reshape(n, c, height // side, side, width // side, side)
        return grid.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)

    def position_table_side(self) -> int:
        """Return the side of the published table."""
        return math.isqrt(int(self.tower.config.num_patches))
