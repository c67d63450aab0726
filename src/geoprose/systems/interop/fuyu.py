"""Fuyu: ``FuyuForCausalLM``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers import FuyuConfig

from geoprose.systems.interop.base import Reference, part_config
from geoprose.systems.interop.key_map import KeyMap, Rename

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor
    from transformers import PreTrainedConfig

    from geoprose.models.config import GeoproseConfig


class FuyuReference(Reference):
    """One linear layer for patches, a Persimmon for the rest."""

    architecture = "FuyuForCausalLM"
    cases = {  # noqa: RUF012 - declared by the base class
        "one picture": (((18, 12),),),
        "rims to fill up": (((17, 11),), ((1, 1),)),
        "larger than the limits": (((130, 31),),),
        "several pictures": (((20, 31), (7, 48)), ((60, 12),)),
    }

    def key_map(self, ours: GeoproseConfig) -> KeyMap:
        """Return the names of the weights."""
        return KeyMap(
            [
                Rename("model.vision_encoder.embed.{rest}", "model.vision_embed_tokens.{rest}"),
                Rename("model.language_model.{rest}", "model.language_model.{rest}"),
                Rename("lm_head.{rest}", "lm_head.{rest}"),
            ]
        )

    def config(self, ours: GeoproseConfig) -> PreTrainedConfig:
        """Return the config of the transformers class that says the same."""
        vision = part_config(ours.vision_config)
        return FuyuConfig(
            text_config=part_config(ours.text_config),
            patch_size=vision["patch_size"],
            num_channels=vision["num_channels"],
            image_token_id=ours.image_token_id,
            tie_word_embeddings=ours.tie_word_embeddings,
        )

    def spec_values(self, theirs: PreTrainedConfig) -> dict[str, Any]:
        """Return what a released config changes in the preset."""
        text = part_config(theirs.text_config)
        vision = {
            "patch_size": theirs.patch_size,
            "num_channels": theirs.num_channels,
            "hidden_size": text["hidden_size"],
        }
        return {
            "resolution": {"image_size": theirs.patch_size},
            "vision_encoder": {"config": vision},
            "language_model": {"type": text.pop("model_type"), "config": text},
        }

    def inputs(self, inputs: Mapping[str, Tensor]) -> dict[str, Any]:
        """Return the inputs of one forward pass: a patch's values are rows, columns, channels there."""
        theirs = super().inputs(inputs)
        patches = theirs.pop("pixel_values")
        theirs["pixel_values"] = patches.unflatten(-1, (3, -1)).transpose(-1, -2).flatten(1)
        return theirs
