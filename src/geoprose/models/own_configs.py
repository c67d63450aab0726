"""Configs of encoders that transformers has no class for; registered so that a saved config can be read back."""

from __future__ import annotations

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig


@strict
class PatchConfig(PreTrainedConfig):  # type: ignore[misc]  # transformers is untyped
    """Patches that one linear layer embeds (Fuyu).

    Attributes:
        patch_size: Side of a patch, pixels.
        num_channels: Bands of a picture.
        hidden_size: Width of an embedded patch.
        image_size: Side of a tile, pixels; one patch where the resolution cuts patches itself.
    """

    model_type = "geoprose_patches"

    patch_size: int = 30
    num_channels: int = 3
    hidden_size: int = 4096
    image_size: int = 30


AutoConfig.register(PatchConfig.model_type, PatchConfig, exist_ok=True)
