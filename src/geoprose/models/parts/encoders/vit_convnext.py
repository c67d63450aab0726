"""A ViT and a ConvNeXt side by side: coarse meaning and fine detail on one grid.

Shapes: N tiles, C channels, H W pixels, P patches of the ViT, E width of all features together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import ConvNextConfig, ConvNextModel, PreTrainedConfig

from geoprose.core.errors import ConfigError
from geoprose.models.parts.encoders.hf import Dinov2Encoder

if TYPE_CHECKING:
    from collections.abc import Sequence


class VitConvnextEncoder(Dinov2Encoder):
    """``[v_1; ...; v_l; up(c_1); ...; up(c_s)]``: chosen layers of DINOv2, chosen stages of ConvNeXt on its grid.

    Each stage's map is brought to the ViT's grid, by averaging where it is finer and bilinearly where it is coarser,
    and all channels of a patch are concatenated.

    Args:
        config: DINOv2's config.
        feature_layer: Layers of the ViT; several for several scales of meaning.
        pool: Average over ``pool * pool`` patches at the end.
        final_norm: Norm the ViT's layers.
        truncate: Leave out ViT blocks behind the last one that is read.
        convnext: Keywords of ``ConvNextConfig``, such as ``hidden_sizes`` and ``depths``.
        stages: Stages of the ConvNeXt that are read, counted from 1; all by default.

    Source:
        Visual-enhanced perception of EarthGPT, arXiv:2401.16822 section III-A. The paper publishes no code: how maps of
        different size meet is our reading.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - the options of every encoder and two of its own
        self,
        config: PreTrainedConfig,
        feature_layer: int | Sequence[int] | None = None,
        pool: int = 1,
        final_norm: bool = False,
        truncate: bool = False,
        convnext: dict[str, Any] | None = None,
        stages: Sequence[int] | None = None,
    ) -> None:
        detail_config = ConvNextConfig(**(convnext or {}))
        num_stages = len(detail_config.hidden_sizes)
        self_stages = tuple(stages or range(1, num_stages + 1))
        if not all(1 <= stage <= num_stages for stage in self_stages):
            raise ConfigError(f"vision_encoder.extra.stages {list(self_stages)} must lie in 1 to {num_stages}.")
        super().__init__(config, feature_layer, pool, final_norm, truncate)
        self.stages = self_stages
        self.hidden_size += sum(int(detail_config.hidden_sizes[stage - 1]) for stage in self_stages)
        self.detail_tower: Any = ConvNextModel._from_config(detail_config)
        self.freeze_unused()

    def forward(self, pixel_values_NCHW: Tensor) -> Tensor:
        """Return patch features (N, P, E) in raster order."""
        patches_NPE = super().forward(pixel_values_NCHW)
        pixels = pixel_values_NCHW.to(self.detail_tower.dtype)
        maps = self.detail_tower(pixels, output_hidden_states=True).hidden_states
        return torch.cat([patches_NPE, *(self._on_grid(maps[stage]) for stage in self.stages)], dim=-1)

    def _on_grid(self, map_NEHW: Tensor) -> Tensor:
        side = (self._grid_side, self._grid_side)
        if map_NEHW.shape[-1] >= self._grid_side:
            grid = F.adaptive_avg_pool2d(map_NEHW, side)
        else:
            grid = F.interpolate(map_NEHW, side, mode="bilinear", align_corners=False)
        return grid.flatten(2).transpose(1, 2)

    def unused_parameter_names(self) -> list[str]:
        """Return the parameters behind what is read, of both towers."""
        names = super().unused_parameter_names()
        if "detail_tower" not in self._modules:
            return names
        unread = tuple(
            f"encoder.stages.{index}." for index in range(max(self.stages), len(self.detail_tower.encoder.stages))
        )
        detail = (name for name, _ in self.detail_tower.named_parameters())
        return names + [f"detail_tower.{name}" for name in detail if name.startswith(("layernorm.", *unread))]
