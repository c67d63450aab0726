"""No vision tower: one linear layer embeds each patch, and the language model does the seeing (Fuyu)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from geoprose.core.errors import ProcessingError
from geoprose.layout.tokens import grid_side
from geoprose.models.parts.encoders.last_layer import LastLayerEncoder

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


class PatchLinearEncoder(LastLayerEncoder):
    """``Linear(patch * patch * C, E)`` on each patch; positions come from the language model alone.

    Values of a patch are taken row by row, pixel by pixel, channels last.

    Args:
        config: A ``PatchConfig``.
        feature_layer: None; there are no layers to choose from.
        pool: 1; pixels are not averaged.
        final_norm: False; there is none.
        truncate: False; there is nothing to leave out.

    Source:
        adept.ai/blog/fuyu-8b; ``FuyuModel.vision_embed_tokens`` and ``patchify_image`` of transformers.
    """

    model_type = "geoprose_patches"
    only_output = "patch_linear has no layers"

    def __init__(self, config: PreTrainedConfig, **choices: Any) -> None:
        super().__init__(config, **choices)
        self.hidden_size = int(config.hidden_size)
        self.patch_size = int(config.patch_size)
        self.image_size = int(config.image_size)
        self._channels = int(config.num_channels)
        self._grid_side = grid_side(self.image_size, self.patch_size)
        self.embed = nn.Linear(self._channels * self.patch_size**2, self.hidden_size)

    def forward(self, pixel_values_NCHW: Tensor) -> Tensor:
        """Return embedded patches.

        Args:
            pixel_values_NCHW: Tiles, which give (N, P, E) in raster order; or single patches (N, 1, C * patch * patch)
                of a resolution that cuts them, which give (N, 1, E).

        Raises:
            ProcessingError: If the values are no patches of this size.
        """
        pixels = pixel_values_NCHW.to(self.embed.weight.dtype)
        patches_NPCS = self._cut(pixels) if pixels.ndim == 4 else self._as_patches(pixels)
        embedded: Tensor = self.embed(patches_NPCS.transpose(2, 3).flatten(2))
        return embedded

    def _cut(self, pixels_NCHW: Tensor) -> Tensor:
        n, c, h, w = pixels_NCHW.shape
        side = self.patch_size
        if c != self._channels or h % side or w % side:
            raise ProcessingError(
                f"Tiles of {c} bands and {w}x{h} px are not {self._channels} bands of {side} px patches."
            )
        grid = pixels_NCHW.reshape(n, c, h // side, side, w // side, side).permute(0, 2, 4, 1, 3, 5)
        return grid.reshape(n, -1, c, side * side)

    def _as_patches(self, patches_NPF: Tensor) -> Tensor:
        expected = self.embed.in_features
        if patches_NPF.ndim != 3 or patches_NPF.shape[-1] != expected:
            raise ProcessingError(
                f"pixel_values of shape {tuple(patches_NPF.shape)} are no patches of {expected} values; encode "
                "pictures with the processor of this system."
            )
        return patches_NPF.reshape(*patches_NPF.shape[:2], self._channels, -1)

    def num_patches(self) -> int:
        """Return P of a tile."""
        return self._grid_side**2
