"""DeepSeek-VL's hybrid encoder: SigLIP sees the picture small, SAM sees it large, on one grid of patches.

Shapes: N pictures, P patches, G side of the grid, S side of SAM's grid, C channels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedConfig, SamVisionConfig, SamVisionModel

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.models.parts.encoders.hf import SiglipEncoder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from geoprose.models.inputs import VisualInputs


class SamSiglipEncoder(SiglipEncoder):
    """Features of both encoders side by side (N, P, E_low + E_high).

    SAM's grid is interpolated to four times SigLIP's and brought down to it by two convolutions of stride 2. The state
    behind SAM's first block with global attention takes the same way through a neck of its own and is added, scaled by
    ``alpha``, which starts at zero.

    Args:
        config: SigLIP's vision config.
        feature_layer: As for SigLIP.
        pool: Must be 1.
        final_norm: As for SigLIP.
        truncate: As for SigLIP.
        high_res: Keywords of SAM's vision config; ``image_size`` is the side of the large tile.

    Source:
        arXiv:2403.05525 section 3.1; ``get_high_res_image_features`` of transformers' DeepseekVLHybridModel.
    """

    def __init__(
        self,
        config: PreTrainedConfig,
        feature_layer: int | Sequence[int] | None = None,
        pool: int = 1,
        final_norm: bool = False,
        truncate: bool = False,
        high_res: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(config, feature_layer, pool, final_norm, truncate)
        if pool != 1:
            raise ConfigError(f"sam_siglip cannot pool by {pool}: both encoders must keep one grid; set pool to 1.")
        high_config = SamVisionConfig(**(high_res or {}))
        channels = high_config.output_channels
        self.high_res_tower = SamVisionModel._from_config(high_config)
        self.high_res_neck = SamNeck(high_config.hidden_size, channels)
        self.high_res_down = nn.ModuleList(
            [
                nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1, bias=False),
                nn.Conv2d(2 * channels, 4 * channels, 3, stride=2, padding=1, bias=False),
            ]
        )
        self.alpha = nn.Parameter(torch.zeros(1))
        self.high_res_size = int(high_config.image_size)
        self._global_layer = high_config.global_attn_indexes[0] + 1
        self.hidden_size += 4 * channels

    def encode(self, inputs: VisualInputs) -> Tensor:
        """Return features (N, P, E_low + E_high) in raster order.

        Raises:
            ProcessingError: If one of the two views is missing, or they are not as many.
        """
        low, high = inputs.pixel_values, inputs.high_res_pixel_values
        if low is None or high is None:
            missing = "pixel_values" if low is None else "high_res_pixel_values"
            raise ProcessingError(f"This vision encoder reads a picture at two sizes; {missing} is missing.")
        if len(low) != len(high) or high.shape[-2:] != (self.high_res_size,) * 2:
            raise ProcessingError(
                f"pixel_values has {len(low)} tiles, high_res_pixel_values has shape {tuple(high.shape)}; each tile "
                f"needs a large view of {self.high_res_size}x{self.high_res_size} px. Use the system's processor."
            )
        return torch.cat([self(low), self.see_large(high)], dim=-1)

    def see_large(self, high_res_pixels_NCHW: Tensor) -> Tensor:
        """Return SAM's features (N, P, E_high) on SigLIP's grid."""
        pixels = high_res_pixels_NCHW.to(dtype=self.high_res_tower.dtype)
        outputs = self.high_res_tower(pixels, output_hidden_states=[self._global_layer])
        early_NSSC = outputs.hidden_states[self._global_layer]
        grid_NCGG = self._down(outputs.last_hidden_state) + self.alpha * self._down(self.high_res_neck(early_NSSC))
        return grid_NCGG.flatten(2).transpose(1, 2)

    def _down(self, grid_NCSS: Tensor) -> Tensor:
        """Bring SAM's grid to SigLIP's."""
        side = 4 * self._grid_side
        grid = F.interpolate(grid_NCSS, size=(side, side), mode="bilinear", align_corners=False)
        for convolution in self.high_res_down:
            grid = convolution(grid)
        return grid


class SamNeck(nn.Module):
    """SAM's neck: 1x1 and 3x3 convolution, each with a norm over channels.

    Args:
        in_size: Width of SAM's blocks.
        out_size: Channels of the output.
    """

    def __init__(self, in_size: int, out_size: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_size, out_size, 1, bias=False)
        self.norm1 = nn.LayerNorm(out_size, eps=1e-6)
        self.conv2 = nn.Conv2d(out_size, out_size, 3, padding=1, bias=False)
        self.norm2 = nn.LayerNorm(out_size, eps=1e-6)

    def forward(self, hidden_NSSC: Tensor) -> Tensor:
        """Return (N, C, S, S)."""
        grid = self.conv1(hidden_NSSC.permute(0, 3, 1, 2))
        grid = self.conv2(self.norm1(grid.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
        normed: Tensor = self.norm2(grid.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return normed
