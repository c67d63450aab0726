"""Encoders that are transformers classes: CLIP, SigLIP, DINOv2.

The classes are named, not found through AutoModel, because AutoModel maps a config to the dual encoder for some of
them and lacks others.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor
from transformers import CLIPVisionModel, Dinov2Model, PreTrainedConfig, PreTrainedModel, SiglipVisionModel

from geoprose.core.errors import ConfigError
from geoprose.layout.tokens import grid_side
from geoprose.models.parts.contracts import VisionEncoder


class HfEncoder(VisionEncoder):
    """A transformers vision model behind the encoder contract; the model itself is ``tower``.

    Args:
        config: Its vision config; ``image_size`` decides the position table.
        feature_layer: Index into the hidden states (negative from the end; -2 is the penultimate block), or None for
            the final layer with its norm.
        pool: Average over ``pool * pool`` neighbouring patches.

    Parameters that the chosen layer never reads start frozen, so that a data-parallel run does not wait for them.
    """

    tower: PreTrainedModel
    _num_prefix: ClassVar[int]
    _table: ClassVar[str]

    def __init__(self, config: PreTrainedConfig, feature_layer: int | None = None, pool: int = 1) -> None:
        super().__init__(config, feature_layer, pool)
        self.hidden_size = int(config.hidden_size)
        self.patch_size = int(config.patch_size)
        self.image_size = int(config.image_size)
        self.pool = pool
        self.feature_layer = feature_layer
        self._grid_side = grid_side(self.image_size, self.patch_size, pool)
        self._check_feature_layer(int(config.num_hidden_layers))
        self.tower = self._build_tower(config)
        self._num_layers = int(config.num_hidden_layers)
        self.freeze_unused()

    @abstractmethod
    def _build_tower(self, config: PreTrainedConfig) -> Any:
        """Return the transformers model."""

    @abstractmethod
    def _head_prefixes(self) -> tuple[str, ...]:
        """Return name prefixes of parameters behind the last hidden state."""

    def _check_feature_layer(self, num_layers: int) -> None:
        if self.feature_layer is not None and not -num_layers - 1 <= self.feature_layer <= num_layers:
            raise ConfigError(
                f"feature_layer {self.feature_layer} does not exist in a vision encoder of {num_layers} layers; "
                f"use {-num_layers - 1} to {num_layers}, or null for the final layer."
            )

    def unused_parameter_names(self) -> list[str]:
        """Return the parameters (relative to this part) that the chosen layer never reads."""
        return [f"tower.{name}" for name, _ in self.tower.named_parameters() if self._is_unused(name, self._num_layers)]

    def _is_unused(self, name: str, num_layers: int) -> bool:
        if name.startswith(self._head_prefixes()) or "mask_token" in name:
            return True
        if self.feature_layer is None:
            return False
        last_used = self.feature_layer if self.feature_layer >= 0 else num_layers + 1 + self.feature_layer
        return any(
            f"{block}.{layer}." in name for block in ("layers", "layer") for layer in range(last_used, num_layers)
        )

    def forward(self, pixel_values_NCHW: Tensor) -> Tensor:
        """Return patch features (N, P, E) in raster order; pixels are cast to the encoder's dtype."""
        pixels = pixel_values_NCHW.to(dtype=self.tower.dtype)
        if self.feature_layer is None:
            tokens = self.tower(pixels).last_hidden_state
        else:
            tokens = self.tower(pixels, output_hidden_states=True).hidden_states[self.feature_layer]
        patches = tokens[:, self._num_prefix :]
        return patches if self.pool == 1 else self._average(patches)

    def _average(self, patches_NPE: Tensor) -> Tensor:
        n, _, e = patches_NPE.shape
        side = self._grid_side * self.pool
        grid = patches_NPE.transpose(1, 2).reshape(n, e, side, side)
        return F.avg_pool2d(grid, self.pool).flatten(2).transpose(1, 2)

    def num_patches(self) -> int:
        """Return P, after pooling."""
        return self._grid_side**2

    def position_table_key(self) -> str:
        """Return the state-dict key of the position table, relative to this part."""
        return f"tower.{self._table}"

    def num_prefix_positions(self) -> int:
        """Return the rows of the position table before the first patch."""
        return self._num_prefix


class ClipEncoder(HfEncoder):
    """CLIP's image tower (class token first; ``last_hidden_state`` has no final norm)."""

    model_type = "clip_vision_model"
    _num_prefix = 1
    _table = "embeddings.position_embedding.weight"

    def _build_tower(self, config: PreTrainedConfig) -> Any:
        return CLIPVisionModel._from_config(config)

    def _head_prefixes(self) -> tuple[str, ...]:
        return ("post_layernorm",)


class SiglipEncoder(HfEncoder):
    """SigLIP's image tower (no class token; the final layer passes through ``post_layernorm``)."""

    model_type = "siglip_vision_model"
    _num_prefix = 0
    _table = "embeddings.position_embedding.weight"

    def _build_tower(self, config: PreTrainedConfig) -> Any:
        return SiglipVisionModel._from_config(config)

    def _head_prefixes(self) -> tuple[str, ...]:
        return ("head",) if self.feature_layer is None else ("head", "post_layernorm")


class Dinov2Encoder(HfEncoder):
    """DINOv2 (class token first; the final layer passes through ``layernorm``)."""

    model_type = "dinov2"
    _num_prefix = 1
    _table = "embeddings.position_embeddings"

    def _build_tower(self, config: PreTrainedConfig) -> Any:
        return Dinov2Model._from_config(config)

    def _head_prefixes(self) -> tuple[str, ...]:
        return () if self.feature_layer is None else ("layernorm",)
