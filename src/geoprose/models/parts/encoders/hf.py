"""Encoders that are transformers classes: CLIP, SigLIP, DINOv2.

The classes are named, not found through AutoModel, because AutoModel maps a config to the dual encoder for some of
them and lacks others.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPVisionModel, Dinov2Model, PreTrainedConfig, PreTrainedModel, SiglipVisionModel

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.layout.tokens import grid_side
from geoprose.models.parts.contracts import VisionEncoder

if TYPE_CHECKING:
    from collections.abc import Sequence


def _side(value: int | Sequence[int]) -> int:
    """Return the side of a square that some configs hold as a number, others as a pair."""
    sides = {value} if isinstance(value, int) else set(value)
    if len(sides) != 1:
        raise ConfigError(f"Tiles and patches must be square, got {value}.")
    return int(sides.pop())


class HfEncoder(VisionEncoder):
    """A transformers vision model behind the encoder contract; the model itself is ``tower``.

    Args:
        config: Its vision config; ``image_size`` decides the position table.
        feature_layer: Index into the hidden states (negative from the end; -2 is the penultimate block), several of
            them (their features are concatenated), or None for the final layer with its norm.
        pool: Average over ``pool * pool`` neighbouring patches.
        final_norm: Pass each chosen hidden state through the tower's final norm.
        truncate: Leave out the blocks behind the last one that is read; saves their time and memory, and a checkpoint
            of this system then lacks them.
        crop_remainder: Allow a rim of the tile that is narrower than a patch and that no patch sees.

    Parameters that the chosen layer never reads start frozen, so that a data-parallel run does not wait for them.
    """

    tower: PreTrainedModel
    _num_prefix: ClassVar[int]
    _table: ClassVar[str]
    _blocks: ClassVar[str]
    _final_norm: ClassVar[str]

    def __init__(
        self,
        config: PreTrainedConfig,
        feature_layer: int | Sequence[int] | None = None,
        pool: int = 1,
        final_norm: bool = False,
        truncate: bool = False,
        crop_remainder: bool = False,
    ) -> None:
        super().__init__(config, feature_layer, pool, final_norm, truncate)
        self._num_layers = int(config.num_hidden_layers)
        self._layers = self._checked_layers(feature_layer)
        self.hidden_size = self._width(config) * max(1, len(self._layers))
        self.patch_size = _side(config.patch_size)
        self.image_size = _side(config.image_size)
        self.pool = pool
        self.has_final_norm = final_norm and bool(self._layers)
        self._grid_side = grid_side(self.image_size, self.patch_size, pool, crop_remainder)
        self.tower = self._build_tower(config)
        self.num_dropped_blocks = self._drop_unread_blocks() if truncate else 0
        self.freeze_unused()

    def _width(self, config: PreTrainedConfig) -> int:
        """Return the width of one hidden state."""
        return int(config.hidden_size)

    @abstractmethod
    def _build_tower(self, config: PreTrainedConfig) -> Any:
        """Return the transformers model."""

    @abstractmethod
    def _head_prefixes(self) -> tuple[str, ...]:
        """Return name prefixes of parameters behind the last hidden state."""

    def _checked_layers(self, feature_layer: int | Sequence[int] | None) -> tuple[int, ...]:
        """Return the indices counted from the front; empty for the final layer."""
        wanted = () if feature_layer is None else (feature_layer,) if isinstance(feature_layer, int) else feature_layer
        for layer in wanted:
            if not -self._num_layers - 1 <= layer <= self._num_layers:
                raise ConfigError(
                    f"feature_layer {layer} does not exist in a vision encoder of {self._num_layers} layers; "
                    f"use {-self._num_layers - 1} to {self._num_layers}, or null for the final layer."
                )
        return tuple(layer if layer >= 0 else self._num_layers + 1 + layer for layer in wanted)

    def _drop_unread_blocks(self) -> int:
        last_read = max(self._layers, default=self._num_layers)
        blocks = self.tower.get_submodule(self._blocks)
        assert isinstance(blocks, nn.ModuleList)
        del blocks[last_read:]
        return self._num_layers - last_read

    def is_dropped(self, name: str) -> bool:
        """Tell whether a weight of the whole tower belongs to a block that this encoder leaves out."""
        parts = name.removeprefix(f"{self._blocks}.").split(".")
        is_block = name.startswith(f"{self._blocks}.") and parts[0].isdigit()
        return is_block and int(parts[0]) >= self._num_layers - self.num_dropped_blocks

    def unused_parameter_names(self) -> list[str]:
        """Return the parameters (relative to this part) that the chosen layers never read."""
        return [f"tower.{name}" for name, _ in self.tower.named_parameters() if self._is_unused(name)]

    def _is_unused(self, name: str) -> bool:
        if name.startswith(self._head_prefixes()) or "mask_token" in name:
            return True
        if not self._layers:
            return False
        return any(name.startswith(f"{self._blocks}.{layer}.") for layer in range(max(self._layers), self._num_layers))

    def forward(self, pixel_values_NCHW: Tensor) -> Tensor:
        """Return patch features (N, P, E) in raster order; pixels are cast to the encoder's dtype.

        Raises:
            ProcessingError: If the tiles have other bands or another size than the encoder was built for.
        """
        self._check_tiles(pixel_values_NCHW)
        pixels = pixel_values_NCHW.to(dtype=self.tower.dtype)
        if not self._layers:
            tokens = self._run(pixels).last_hidden_state
        else:
            hidden_states = self._run(pixels, output_hidden_states=True).hidden_states
            tokens = torch.cat([self._normed(hidden_states[layer]) for layer in self._layers], dim=-1)
        patches = tokens[:, self._num_prefix :]
        return patches if self.pool == 1 else self._average(patches)

    def _check_tiles(self, pixels_NCHW: Tensor) -> None:
        expected = (int(getattr(self.tower.config, "num_channels", 3)), self.image_size, self.image_size)
        if tuple(pixels_NCHW.shape[1:]) != expected:
            raise ProcessingError(
                f"pixel_values of shape {tuple(pixels_NCHW.shape)} are no tiles of {expected[0]} bands and "
                f"{self.image_size} x {self.image_size} px; encode the pictures with the processor of this system."
            )

    def _run(self, pixels_NCHW: Tensor, **kwargs: Any) -> Any:
        """Return the outputs of the tower; overridden where it takes something else than pixels."""
        return self.tower(pixels_NCHW, **kwargs)

    def _normed(self, hidden: Tensor) -> Tensor:
        return self.tower.get_submodule(self._final_norm)(hidden) if self.has_final_norm else hidden

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
    _blocks = "encoder.layers"
    _final_norm = "post_layernorm"

    def _build_tower(self, config: PreTrainedConfig) -> Any:
        return CLIPVisionModel._from_config(config)

    def _head_prefixes(self) -> tuple[str, ...]:
        return () if self.has_final_norm else ("post_layernorm",)


class SiglipEncoder(HfEncoder):
    """SigLIP's image tower (no class token; the final layer passes through ``post_layernorm``)."""

    model_type = "siglip_vision_model"
    _num_prefix = 0
    _table = "embeddings.position_embedding.weight"
    _blocks = "encoder.layers"
    _final_norm = "post_layernorm"

    def _build_tower(self, config: PreTrainedConfig) -> Any:
        return SiglipVisionModel._from_config(config)

    def _head_prefixes(self) -> tuple[str, ...]:
        return ("head",) if not self._layers or self.has_final_norm else ("head", "post_layernorm")


class Dinov2Encoder(HfEncoder):
    """DINOv2 (class token first; the final layer passes through ``layernorm``)."""

    model_type = "dinov2"
    _num_prefix = 1
    _table = "embeddings.position_embeddings"
    _blocks = "encoder.layer"
    _final_norm = "layernorm"

    def _build_tower(self, config: PreTrainedConfig) -> Any:
        return Dinov2Model._from_config(config)

    def _head_prefixes(self) -> tuple[str, ...]:
        return () if not self._layers or self.has_final_norm else ("layernorm",)
