"""CLIP, SigLIP and pairs of any two towers: ``CLIPModel``, ``SiglipModel``, ``VisionTextDualEncoderModel``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers import CLIPConfig, SiglipConfig, VisionTextDualEncoderConfig

from geoprose.systems.interop.base import Reference, part_config
from geoprose.systems.interop.key_map import KeyMap, Rename

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor
    from transformers import PreTrainedConfig


def as_scalar(tensor: Tensor) -> Tensor:
    """Return our one-element vector as a scalar."""
    return tensor.reshape(())


def as_vector(tensor: Tensor) -> Tensor:
    """Return a scalar as our one-element vector."""
    return tensor.reshape(1)


_TOWERS = (Rename("vision.model.{rest}", "vision_model.{rest}"), Rename("text.model.{rest}", "text_model.{rest}"))
_PROJECTIONS = (
    Rename("vision_projection.{rest}", "visual_projection.{rest}"),
    Rename("text_projection.{rest}", "text_projection.{rest}"),
    Rename("logit_scale", "logit_scale", as_scalar, as_vector),
)


class DualEncoderReference(Reference):
    """What the references of dual encoders share."""

    cases = {  # noqa: RUF012 - the form is that of Reference
        "one picture": (((48, 48),),),
        "three pictures": (((48, 48),), ((64, 40),), ((30, 70),)),
    }

    def spec_values(self, theirs: PreTrainedConfig) -> dict[str, Any]:
        """Return what a released config changes in the preset."""
        vision, text = part_config(theirs.vision_config), part_config(theirs.text_config)
        return {
            "resolution": {"image_size": vision.pop("image_size")},
            "vision_encoder": {"config": vision},
            "text_encoder": {"config": text},
        }

    def published_state(self, folder: Path) -> dict[str, Tensor]:
        """Return the weights of a released checkpoint under its own names."""
        model: Any = self.model_class().from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
        )
        state: dict[str, Tensor] = model.state_dict()
        return state


class ClipReference(DualEncoderReference):
    """``CLIPModel``."""

    architecture = "CLIPModel"

    def key_map(self, ours: Any) -> KeyMap:
        """Return the names of the weights."""
        return KeyMap([*_TOWERS, *_PROJECTIONS])

    def config(self, ours: Any) -> PreTrainedConfig:
        """Return the config of the transformers class that says the same."""
        return CLIPConfig(
            vision_config=part_config(ours.vision_config),
            text_config=part_config(ours.text_config),
            projection_dim=ours.projection["dim"],
        )

    def spec_values(self, theirs: PreTrainedConfig) -> dict[str, Any]:
        """Return what a released config changes in the preset."""
        return {**super().spec_values(theirs), "projection": {"dim": theirs.projection_dim}}


class SiglipReference(DualEncoderReference):
    """``SiglipModel``, which is also SigLIP 2 at a fixed size."""

    architecture = "SiglipModel"

    def key_map(self, ours: Any) -> KeyMap:
        """Return the names of the weights."""
        scale, bias = Rename("logit_scale", "logit_scale"), Rename("logit_bias", "logit_bias")
        return KeyMap([*_TOWERS, scale, bias])

    def config(self, ours: Any) -> PreTrainedConfig:
        """Return the config of the transformers class that says the same."""
        return SiglipConfig(vision_config=part_config(ours.vision_config), text_config=part_config(ours.text_config))


class PairReference(DualEncoderReference):
    """``VisionTextDualEncoderModel``: any two towers, such as ViT and BERT."""

    architecture = "VisionTextDualEncoderModel"

    def key_map(self, ours: Any) -> KeyMap:
        """Return the names of the weights."""
        return KeyMap([*_TOWERS, *_PROJECTIONS])

    def config(self, ours: Any) -> PreTrainedConfig:
        """Return the config of the transformers class that says the same."""
        return VisionTextDualEncoderConfig(
            vision_config=part_config(ours.vision_config),
            text_config=part_config(ours.text_config),
            projection_dim=ours.projection["dim"],
        )
