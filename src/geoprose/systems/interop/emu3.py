"""Emu3: ``Emu3ForConditionalGeneration``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers import Emu3Config

from geoprose.models.parts.sizes import pixels_per_code
from geoprose.systems.interop.base import Reference, part_config
from geoprose.systems.interop.chameleon import vocabulary_map
from geoprose.systems.interop.key_map import KeyMap, Rename

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor
    from transformers import PreTrainedConfig

    from geoprose.models.config import GeoproseConfig


class Emu3Reference(Reference):
    """A VQ tokenizer for pictures of any size and a Llama-like transformer.

    The pictures of a case have one size: transformers pads the pictures of a batch before its tokenizer, so that the
    codes of the smaller ones depend on the larger; ours do not.
    """

    architecture = "Emu3ForConditionalGeneration"
    cases = {  # noqa: RUF012 - declared by the base class
        "one picture": (((10, 8),),),
        "a wide picture, enlarged": (((5, 2),),),
        "larger than the limits": (((31, 12),),),
        "two pictures": (((8, 8), (8, 8)),),
        "a batch of two rows": (((6, 10),), ((6, 10), (6, 10))),
    }

    def key_map(self, ours: GeoproseConfig) -> KeyMap:
        """Return the names of the weights."""
        return KeyMap(
            [
                Rename("model.vision_encoder.tower.{rest}", "model.vqmodel.{rest}"),
                Rename("model.language_model.{rest}", "model.text_model.{rest}"),
                Rename("lm_head.{rest}", "lm_head.{rest}"),
            ]
        )

    def config(self, ours: GeoproseConfig) -> PreTrainedConfig:
        """Return the config of the transformers class that says the same."""
        packer = ours.merging()[0]
        return Emu3Config(
            vq_config=part_config(ours.vision_config),
            text_config=part_config(ours.text_config),
            vocabulary_map={packer["eol_token"]: packer.get("eol_id", 0), **vocabulary_map(ours)},
            tie_word_embeddings=ours.tie_word_embeddings,
        )

    def spec_values(self, theirs: PreTrainedConfig) -> dict[str, Any]:
        """Return what a released config changes in the preset."""
        text, vision = part_config(theirs.text_config), part_config(theirs.vq_config)
        side = pixels_per_code(vision)
        return {
            "resolution": {"image_size": side, "patch_size": side},
            "vision_encoder": {"config": vision},
            "language_model": {"type": text.pop("model_type"), "config": text},
        }

    def inputs(self, inputs: Mapping[str, Tensor]) -> dict[str, Any]:
        """Return the inputs of one forward pass: whole pictures there, cells here."""
        theirs = super().inputs(inputs)
        cells = theirs.pop("pixel_values")
        side = round((cells.shape[-1] / 3) ** 0.5)
        grids = inputs["visual_layouts"][:, 1:3]
        pictures = []
        for (rows, columns), part in zip(grids.tolist(), cells.split(grids.prod(1).tolist()), strict=True):
            grid = part.reshape(rows, columns, 3, side, side).permute(2, 0, 3, 1, 4)
            pictures.append(grid.reshape(3, rows * side, columns * side))
        return {**theirs, "pixel_values": torch.stack(pictures), "image_sizes": grids * side}
