"""Normalizer-free ResNets (Flamingo's encoder is the F6), from timm where it is installed.

Shapes: N tiles, C channels, H W pixels, P cells of the last map, E channels of it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from geoprose.core.errors import ResourceError
from geoprose.layout.tokens import grid_side
from geoprose.models.parts.encoders.last_layer import LastLayerEncoder

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedConfig

STRIDE_PX = 32
"""Pixels of a tile per cell of the last map."""


class NfnetEncoder(LastLayerEncoder):
    """The last feature map, one feature per cell, behind the final convolution and activation.

    Args:
        config: A ``TimmWrapperConfig`` with ``image_size``; ``architecture`` names the timm model.
        feature_layer: None; only the last map is published to be read.
        pool: 1.
        final_norm: False; these networks have no norm.
        truncate: False.

    Raises:
        ResourceError: If timm is not installed.

    Source:
        arXiv:2102.06171; Flamingo arXiv:2204.14198, section 3.1; timm ``dm_nfnet_f6``.
    """

    model_type = "timm_wrapper"
    only_output = "nfnet offers its last map only"

    def __init__(self, config: PreTrainedConfig, **choices: Any) -> None:
        super().__init__(config, **choices)
        self.tower = self._build_tower(str(config.architecture), config.model_args or {})
        self.hidden_size = int(self.tower.num_features)
        self.patch_size, self.image_size = STRIDE_PX, int(config.image_size)
        self._grid_side = grid_side(self.image_size, STRIDE_PX)

    @staticmethod
    def _build_tower(architecture: str, model_args: dict[str, Any]) -> Any:
        try:
            timm = import_module("timm")
        except (ImportError, RuntimeError) as error:  # torchvision built for another torch raises RuntimeError
            raise ResourceError(
                f"The encoder nfnet ({architecture}) needs timm, which cannot be imported here ({error}). Install "
                "timm with the torchvision that fits this torch, or choose another vision_encoder."
            ) from error
        return timm.create_model(architecture, pretrained=False, num_classes=0, global_pool="", **model_args)

    def forward(self, pixel_values_NCHW: Tensor) -> Tensor:
        """Return (N, P, E) in raster order."""
        parameter = next(self.tower.parameters())
        map_NEhw: Tensor = self.tower.forward_features(pixel_values_NCHW.to(parameter.dtype))
        return map_NEhw.flatten(2).transpose(1, 2)

    def num_patches(self) -> int:
        """Return P."""
        return self._grid_side**2
