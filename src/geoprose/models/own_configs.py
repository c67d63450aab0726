"""Configs of encoders that transformers has no class for; registered so that a saved config can be read back."""

from __future__ import annotations

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig


@strict
class ImageBindConfig(PreTrainedConfig):  # type: ignore[misc]  # transformers is untyped
    """One tower of ImageBind; the defaults are the image tower of ImageBind-huge.

    Attributes:
        modality: ``vision``, ``text``, ``audio``, ``depth``, ``thermal`` or ``imu``; decides what the first layer reads
            and which of the published differences between the towers apply.
        image_size: Extent of the input: side of a picture in pixels, [mel bins, frames] of a sound, samples of a motion
            sensor, tokens of a text.
        patch_size: Side of a patch, in the same units.
        stride: Distance of two patches; the patch size unless given.
        hidden_size: Width of the tower.
        num_hidden_layers: Blocks.
        num_attention_heads: Heads of a block.
        mlp_ratio: Width of the hidden layer of a block, in widths of the tower.
        projection_dim: Width of the joint space.
        vocab_size: Tokens, for text.
        scale: What the normalised embedding is multiplied by; null for the published factor of the modality.
        drop_path_rate: Chance to skip the last block in training; earlier blocks less, linearly.
        head_dropout: Dropout before the projection into the joint space.
        layer_norm_eps: Epsilon of the norms of blocks and head.
        initializer_range: Standard deviation of fresh linear layers.
    """

    model_type = "geoprose_imagebind"

    modality: str = "vision"
    image_size: int | list[int] = 224
    patch_size: int = 14
    stride: int | None = None
    hidden_size: int = 1280
    num_hidden_layers: int = 32
    num_attention_heads: int = 16
    mlp_ratio: int = 4
    projection_dim: int = 1024
    vocab_size: int = 49408
    scale: float | None = None
    drop_path_rate: float = 0.0
    head_dropout: float = 0.0
    layer_norm_eps: float = 1e-6
    initializer_range: float = 0.02


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
AutoConfig.register(ImageBindConfig.model_type, ImageBindConfig, exist_ok=True)
