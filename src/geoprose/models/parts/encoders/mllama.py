"""Llama 3.2 Vision's encoder: all tiles of a picture together, then a second, global transformer.

Shapes: S pictures, K slots (tiles of the largest canvas), N tiles, C channels, H W pixels, P patches, E width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from transformers import MllamaVisionModel, PreTrainedConfig

from geoprose.core.errors import ProcessingError
from geoprose.models.parts.encoders.last_layer import LastLayerEncoder

if TYPE_CHECKING:
    from geoprose.layout.visual import VisualLayout
    from geoprose.models.inputs import VisualInputs


class MllamaEncoder(LastLayerEncoder):
    """transformers' ``MllamaVisionModel``; the class token of each tile stays among its patches.

    Every picture gets as many tiles of features as the largest canvas has, empty ones last: tokens before the first
    picture attend to those too in the published model.

    Source:
        arXiv:2407.21783 section 7.1; transformers models/mllama.
    """

    model_type = "mllama_vision_model"
    only_output = "The Mllama encoder chooses its layers by intermediate_layers_indices of its config"

    def __init__(self, config: PreTrainedConfig, **choices: Any) -> None:
        super().__init__(config, **choices)
        self.hidden_size = int(config.vision_output_dim)
        self.patch_size = int(config.patch_size)
        self.image_size = int(config.image_size)
        self.num_slots = int(config.max_num_tiles)
        self._shapes = [(int(rows), int(columns)) for rows, columns in config.supported_aspect_ratios]
        self.tower: Any = MllamaVisionModel._from_config(config)

    def forward(self, pixel_values_NCHW: Tensor) -> Tensor:
        """Refuse: which tiles belong together stands in the layouts.

        Raises:
            ProcessingError: Always.
        """
        raise ProcessingError("The Mllama encoder needs visual_layouts beside pixel_values; call encode.")

    def encode(self, inputs: VisualInputs) -> Tensor:
        """Return features (S * K, P, E), the empty tiles of each picture last.

        Raises:
            ProcessingError: If pixels or layouts are missing or do not match.
        """
        if inputs.pixel_values is None or inputs.visual_layouts is None:
            raise ProcessingError("The Mllama encoder needs pixel_values and visual_layouts.")
        pixels_NCHW = inputs.pixel_values.to(self.tower.dtype)
        layouts = inputs.layouts(pixels_NCHW.shape[0])
        counts = [layout.num_tiles for layout in layouts]
        if sum(counts) != pixels_NCHW.shape[0]:
            raise ProcessingError(
                f"visual_layouts describe {sum(counts)} tiles but there are {pixels_NCHW.shape[0]}; encode pictures "
                "and text with the same processor."
            )
        padded = pixels_NCHW.new_zeros(len(counts), self.num_slots, *pixels_NCHW.shape[1:])
        is_tile_SK = (
            torch.arange(self.num_slots, device=padded.device) < torch.tensor(counts, device=padded.device)[:, None]
        )
        padded[is_tile_SK] = pixels_NCHW
        ids = torch.tensor([[self._aspect_ratio_id(layout)] for layout in layouts], device=padded.device)
        features: Tensor = self.tower(padded[:, None], ids, is_tile_SK[:, None].long()).last_hidden_state
        return features.flatten(0, 2)

    def _aspect_ratio_id(self, layout: VisualLayout) -> int:
        shape = (layout.rows, layout.columns)
        if layout.frames != 1 or layout.thumbnail or shape not in self._shapes:
            raise ProcessingError(
                f"The Mllama encoder knows no canvas of {shape[0]}x{shape[1]} tiles; use the tiled_canvas resolution "
                f"with max_tiles {self.num_slots}."
            )
        return self._shapes.index(shape) + 1

    def num_feature_rows(self, layout: VisualLayout) -> int:
        """Return K."""
        return self.num_slots

    def num_patches(self) -> int:
        """Return the features per tile, class token included."""
        return (self.image_size // self.patch_size) ** 2 + 1

    def position_table_key(self) -> str:
        """Return the state-dict key of the position table of one tile."""
        return "tower.gated_positional_embedding.embedding"

    def num_prefix_positions(self) -> int:
        """Return 1: the row of the class token."""
        return 1
