"""Llama 3.2 Vision: ``MllamaForConditionalGeneration``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from transformers import MllamaConfig
from transformers.models.mllama.processing_mllama import (
    convert_sparse_cross_attention_mask_to_dense,
    get_cross_attention_token_mask,
)

from geoprose.layout.visual import VisualLayout
from geoprose.systems.interop.base import Reference, part_config
from geoprose.systems.interop.key_map import KeyMap, Rename

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor
    from transformers import PreTrainedConfig, PreTrainedModel

    from geoprose.models.config import GeoproseConfig
    from geoprose.systems.interop.base import Sizes


class MllamaReference(Reference):
    """Mllama's vision model, one linear layer, Mllama's language model.

    Every row of a case has as many pictures: transformers fills up a row with pictures of zeros, which tokens before
    the first picture then attend to, so its numbers depend on the other rows of the batch; ours do not.
    """

    architecture = "MllamaForConditionalGeneration"
    cases: ClassVar[Mapping[str, tuple[Sizes, ...]]] = {
        "one picture": (((48, 48),),),
        "a wide picture": (((200, 60),),),
        "a tall picture": (((50, 190),),),
        "two adjacent pictures": (((90, 90), (64, 40)),),
        "a batch of two rows": (((48, 48),), ((140, 100),)),
    }

    def key_map(self, ours: GeoproseConfig) -> KeyMap:
        """Return the names of the weights."""
        return KeyMap(
            [
                Rename("model.vision_encoder.tower.{rest}", "model.vision_model.{rest}"),
                Rename("model.connector.layers.0.{rest}", "model.multi_modal_projector.{rest}"),
                Rename("model.language_model.{rest}", "model.language_model.{rest}"),
                Rename("lm_head.{rest}", "lm_head.{rest}"),
            ]
        )

    def config(self, ours: GeoproseConfig) -> PreTrainedConfig:
        """Return the config of the transformers class that says the same."""
        return MllamaConfig(
            vision_config=part_config(ours.vision_config),
            text_config=part_config(ours.text_config),
            image_token_index=ours.image_token_id,
        )

    def spec_values(self, theirs: PreTrainedConfig) -> dict[str, Any]:
        """Return what a released config changes in the preset."""
        text, vision = part_config(theirs.text_config), part_config(theirs.vision_config)
        slots = vision["max_num_tiles"]
        return {
            "resolution": {"image_size": vision.pop("image_size"), "max_tiles": slots},
            "vision_encoder": {"config": vision},
            "packer": {"slots": slots},
            "language_model": {"type": text.pop("model_type"), "config": text},
        }

    def build(self, model: Any) -> PreTrainedModel:
        """Return the transformers model with the weights of ours; remembers what its inputs depend on."""
        self._image_token_id = int(model.config.image_token_id)
        vision = model.config.vision_config
        self._shapes = [tuple(shape) for shape in vision.supported_aspect_ratios]
        self._slots = int(vision.max_num_tiles)
        return super().build(model)

    def inputs(self, inputs: Mapping[str, Tensor]) -> dict[str, Any]:
        """Return tiles by row and picture, aspect ratio ids, and the masks of transformers' processor."""
        named = {name: inputs[name] for name in ("input_ids", "attention_mask")}
        layouts = [VisualLayout(*row) for row in inputs["visual_layouts"].tolist()]
        rows = inputs["input_ids"].tolist()
        per_row = len(layouts) // len(rows)
        tiles = torch.split(inputs["pixel_values"], [layout.num_tiles for layout in layouts])
        padded = torch.stack([torch.cat([t, t.new_zeros(self._slots - len(t), *t.shape[1:])]) for t in tiles])
        ids = torch.tensor([self._shapes.index((layout.rows, layout.columns)) + 1 for layout in layouts])
        counts = [len(t) for t in tiles]
        is_tile = torch.arange(self._slots) < torch.tensor(counts)[:, None]
        mask = convert_sparse_cross_attention_mask_to_dense(
            [get_cross_attention_token_mask(row, self._image_token_id) for row in rows],
            [counts[index * per_row : (index + 1) * per_row] for index in range(len(rows))],
            self._slots,
            len(rows[0]),
        )
        return {
            **named,
            "pixel_values": padded.view(len(rows), per_row, *padded.shape[1:]),
            "aspect_ratio_ids": ids.view(len(rows), per_row),
            "aspect_ratio_mask": is_tile.long().view(len(rows), per_row, -1),
            "cross_attention_mask": torch.from_numpy(mask),
        }
