"""Specs of the parts of deep fusion: pictures enter between or inside the layers of the language model."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeInt, PositiveFloat, PositiveInt

from geoprose.systems.specs.base import PartSpec


class PerceiverConnectorSpec(PartSpec):
    """Learned latents resample the patches (Flamingo, Idefics-1)."""

    num_latents: PositiveInt = 64
    """Visual tokens per tile."""
    depth: PositiveInt = 6
    num_heads: PositiveInt = 8
    head_dim: PositiveInt = 64
    mlp_ratio: PositiveInt = 4
    activation: str = "relu2"
    qk_norm: bool = False
    project: bool = True
    """Add a linear layer to the language model's width; without it only gated_cross_attention can read the tokens."""


class MediaPackerSpec(PartSpec):
    """One placeholder per visual; all its tokens go to the cross-attention."""

    slots: PositiveInt | None = None
    """Tiles that the encoder gives for every visual, empty ones included; null for the tiles of the layout."""


class GatedCrossAttentionSpec(PartSpec):
    """Gated cross-attention blocks before every n-th decoder layer."""

    every: PositiveInt = 4
    offset: NonNegativeInt = 0
    """First layer with a block."""
    visible: Literal["last", "group", "all"] = "last"
    """What a token sees: the last picture before it, the last run of adjacent pictures, or all before it."""
    visual_width: PositiveInt | None = None
    """Width of the visual tokens; null for the language model's."""
    num_heads: PositiveInt | None = None
    head_dim: PositiveInt | None = None
    hidden_size: PositiveInt | None = None
    """Hidden width of the feed-forward; null for the language model's (swiglu) or four times its width."""
    feed_forward: str = "swiglu"
    """``swiglu``, or the activation of a plain feed-forward."""
    norm: Literal["rmsnorm", "layernorm"] = "rmsnorm"
    norm_eps: PositiveFloat = 1e-6
    qk_norm: bool = False
    gate: Literal["scalar", "vector"] = "scalar"


class CrossAttentionLayersSpec(PartSpec):
    """The language model's own cross-attention layers (Llama 3.2 Vision)."""

    visible: Literal["last", "group", "all"] = "group"


class ConvGluConnectorSpec(PartSpec):
    """A convolution, a gated unit, and a learned token at each end (CogVLM2)."""

    hidden_size: PositiveInt | None = None
    """Hidden width of the gated unit; null for four times the language model's width."""
    factor: PositiveInt = 2
    """Side and stride of the convolution; 1 for none (CogVLM)."""


class VisualExpertSpec(PartSpec):
    """Attention and feed-forward weights of their own for visual tokens (CogVLM)."""

    qkv_bias: bool = False


class ModalityMoeSpec(PartSpec):
    """Several feed-forwards per layer, chosen by the kind of token or by a learned gate."""

    routing: Literal["hard", "soft"] = "hard"
    num_experts: PositiveInt = 1
    """Feed-forwards beside the language model's own."""
    top_k: PositiveInt = 1
    every: PositiveInt = 1
    offset: NonNegativeInt = 0


CONNECTOR_SPECS: dict[str, type[PartSpec]] = {"conv_glu": ConvGluConnectorSpec, "perceiver": PerceiverConnectorSpec}
PACKER_SPECS: dict[str, type[PartSpec]] = {"media": MediaPackerSpec}
FUSION_SPECS: dict[str, type[PartSpec]] = {
    "cross_attention_layers": CrossAttentionLayersSpec,
    "gated_cross_attention": GatedCrossAttentionSpec,
    "modality_moe": ModalityMoeSpec,
    "visual_expert": VisualExpertSpec,
}
