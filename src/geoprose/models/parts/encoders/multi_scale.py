"""See a tile at several scales with one encoder (S2), so that small things keep their patches.

Shapes: N tiles, C channels, H W pixels, E width of the wrapped encoder, S number of scales, g side of its grid.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.models.parts.contracts import VisionEncoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedConfig


class MultiScaleEncoder(VisionEncoder):
    """``y = concat_s pool_s(merge(f(split_s(resize_s(x)))))``: every scale on one grid, channels side by side.

    At scale s the tile is resized to s times the wrapped encoder's tile, cut into s * s squares that are encoded one by
    one, put together again, and averaged over s * s patches; the number of patches is that of the wrapped encoder.

    Args:
        config: Config of the wrapped encoder; its ``image_size`` is the side of the largest scale.
        feature_layer: As in the wrapped encoder.
        pool: The largest scale: patches of that scale are averaged over ``pool * pool``.
        final_norm: As in the wrapped encoder.
        truncate: As in the wrapped encoder.
        base: Name of the wrapped encoder in the registry.
        scales: Rising whole numbers; the last is ``pool``.

    Source:
        S2, arXiv:2403.13043; reference code bfshi/scaling_on_scales, ``s2wrapper/core.py``.
    """

    model_type = "siglip_vision_model"
    tower_path = "base.tower"

    def __init__(
        self,
        config: PreTrainedConfig,
        feature_layer: int | Sequence[int] | None = None,
        pool: int = 2,
        final_norm: bool = False,
        truncate: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(config, feature_layer, pool, final_norm, truncate)
        from geoprose.models.registries import VISION_ENCODERS

        name, self.scales = self._checked(pool, **options)
        base_class = VISION_ENCODERS.get(name)
        if base_class.model_type != config.model_type:
            raise ConfigError(
                f"multi_scale wraps {name}, whose config is of type {base_class.model_type}, but was given "
                f"{config.model_type}; set vision_encoder.config.model_type to it."
            )
        if int(config.image_size) % pool:
            raise ConfigError(f"image_size {config.image_size} is not a multiple of the largest scale {pool}.")
        inner = copy.deepcopy(config)
        inner.image_size = int(config.image_size) // pool
        self.base: VisionEncoder = base_class(inner, feature_layer, 1, final_norm, truncate)
        self.hidden_size = self.base.hidden_size * len(self.scales)
        self.patch_size, self.image_size, self.pool = self.base.patch_size, int(config.image_size), pool

    @staticmethod
    def _checked(pool: int, base: str = "siglip", scales: Sequence[int] = (1, 2)) -> tuple[str, tuple[int, ...]]:
        rising = sorted(set(scales))
        if base == "multi_scale" or not rising or list(scales) != rising or rising[0] < 1 or rising[-1] != pool:
            raise ConfigError(
                f"multi_scale needs a plain encoder and rising scales that end at pool, got base {base!r}, scales "
                f"{list(scales)} and pool {pool}."
            )
        return base, tuple(rising)

    def forward(self, pixel_values_NCHW: Tensor) -> Tensor:
        """Return (N, g * g, S * E) in raster order; tiles have the side of the largest scale.

        Raises:
            ProcessingError: If a tile is of another size.
        """
        height, width = pixel_values_NCHW.shape[-2:]
        if (height, width) != (self.image_size, self.image_size):
            raise ProcessingError(f"multi_scale needs tiles of {self.image_size} px, got {width}x{height}.")
        maps = [self._at(pixel_values_NCHW, scale) for scale in self.scales]
        return torch.cat(maps, dim=1).flatten(2).transpose(1, 2)

    def _at(self, pixels_NCHW: Tensor, scale: int) -> Tensor:
        """Return the map (N, E, g, g) of one scale."""
        base_px = self.image_size // self.pool
        if scale != self.pool:
            # Why not antialias: the reference resizes without it; float32 as there, since half has no bicubic on CPUs.
            wide = pixels_NCHW.to(torch.promote_types(pixels_NCHW.dtype, torch.float32))
            side_px = base_px * scale
            pixels_NCHW = F.interpolate(wide, size=(side_px, side_px), mode="bicubic").to(pixels_NCHW.dtype)
        num_tiles = len(pixels_NCHW)
        squares = pixels_NCHW.reshape(num_tiles, -1, scale, base_px, scale, base_px).permute(0, 2, 4, 1, 3, 5)
        features = self.base(squares.flatten(0, 2))
        side = self.grid_side()
        grid = features.reshape(num_tiles, scale, scale, side, side, -1).permute(0, 5, 1, 3, 2, 4)
        whole = grid.flatten(4, 5).flatten(2, 3)
        return F.avg_pool2d(whole, scale) if scale > 1 else whole

    def grid_side(self) -> int:
        """Return g."""
        return self.base.position_table_side()

    def num_patches(self) -> int:
        """Return g * g."""
        return self.base.num_patches()

    def is_dropped(self, name: str) -> bool:
        """Tell whether a weight of the pretrained model belongs to a block that this encoder leaves out."""
        return self.base.is_dropped(name)

    def unused_parameter_names(self) -> list[str]:
        """Return the parameters, relative to this part, that never get a gradient."""
        return [f"base.{name}" for name in self.base.unused_parameter_names()]

    def position_table_key(self) -> str:
        """Return the state-dict key of the position table."""
        return f"base.{self.base.position_table_key()}"

    def position_table_side(self) -> int:
        """Return the side of the grid that the position table is made for."""
        return self.base.position_table_side()

    def num_prefix_positions(self) -> int:
        """Return the rows of the position table that belong to prefix tokens."""
        return self.base.num_prefix_positions()
