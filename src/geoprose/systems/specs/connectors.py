"""Specs of the connectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import PositiveInt

from geoprose.models.registries import CONNECTORS
from geoprose.systems.specs import deep_fusion
from geoprose.systems.specs.base import PartSpec, slot_type
from geoprose.systems.specs.weights import WeightsSpec


class LinearConnectorSpec(PartSpec):
    """One linear layer."""


class MlpConnectorSpec(PartSpec):
    """Linear layers with an activation between them."""

    depth: PositiveInt = 2
    """Number of linear layers (LLaVA-1.5 uses 2, LLaVA uses 1)."""
    activation: str = "gelu"


class UnshuffleMlpConnectorSpec(PartSpec):
    """Merge neighbouring patches, then an MLP, with optional norms and position vectors."""

    factor: PositiveInt = 2
    depth: PositiveInt = 2
    activation: str = "gelu"
    order: Literal["dyx_c", "c_dyx", "raster4"] = "dyx_c"
    input_norm: Literal["none", "layernorm", "standardise"] = "none"
    output_norm: Literal["none", "layernorm"] = "none"
    pad: bool = False
    """Fill a grid that the factor does not divide with zeros at the right and the bottom."""
    position_grid: PositiveInt | None = None
    """Side of the visual-token grid that learned position vectors are added on."""


class CompassMlpConnectorSpec(UnshuffleMlpConnectorSpec):
    """The unshuffle MLP with nine tokens in front: the whole, and each direction with its marker."""

    position_grid: PositiveInt
    """Side of the grid of cells, even."""


class PatchMergerConnectorSpec(PartSpec):
    """Norm of each patch, neighbours concatenated, an MLP of two layers (Qwen2-VL)."""

    factor: PositiveInt = 2
    """Patches merged along each edge."""


class XattnResampler2dConnectorSpec(PartSpec):
    """Learned queries read the patches in one cross-attention with positions on a grid (Qwen-VL)."""

    num_queries: PositiveInt = 256
    """Visual tokens of a tile, a square number."""
    num_heads: PositiveInt | None = None
    """Heads; null for as many as are 128 wide."""


class IdentityConnectorSpec(PartSpec):
    """Nothing: the encoder has the language model's width."""


class VqEmbedConnectorSpec(PartSpec):
    """Codes to token ids of the language model's vocabulary."""

    token: str
    """Name of a code's token, with ``{code}`` or ``{letters}``; tokens that the tokenizer lacks are added."""


class QFormerConnectorSpec(PartSpec):
    """Learned queries that read the patches, and the instruction where it enters."""

    num_queries: PositiveInt = 32
    """Queries; also the visual tokens of a tile."""
    hidden_size: PositiveInt = 768
    num_layers: PositiveInt = 12
    num_heads: PositiveInt = 12
    intermediate_size: PositiveInt = 3072
    cross_attention_frequency: PositiveInt = 2
    """Layers 0, f, 2f, ... read the patches."""
    dropout: float = 0.1
    condition: bool = False
    """Whether the instruction enters the Q-Former (InstructBLIP)."""
    vocab_size: PositiveInt = 30523
    """Rows of the instruction's vocabulary: BERT's and ``[DEC]``."""
    max_positions: PositiveInt = 512
    tokenizer: WeightsSpec | None = None
    """Tokenizer of the instruction; null for that of the language model."""

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of the part: what it is built of, not how its text is cut."""
        return self.model_dump(mode="json", exclude={"type", "tokenizer"})


class HybridConcatConnectorSpec(PartSpec):
    """Two encoders of one grid, each projected to half the width (DeepSeek-VL 7B)."""

    high_size: PositiveInt = 1024
    """Channels of the high-resolution encoder."""
    activation: str = "gelu"


class SeparatedMlpConnectorSpec(PartSpec):
    """The unshuffle MLP, with two separators in front of it (Phi-3-Vision)."""

    factor: PositiveInt = 2
    depth: PositiveInt = 2
    activation: str = "gelu"
    order: Literal["dyx_c", "c_dyx", "raster4"] = "dyx_c"


SPECS: dict[str, type[PartSpec]] = {
    **deep_fusion.CONNECTOR_SPECS,
    "compass_mlp": CompassMlpConnectorSpec,
    "hybrid_concat": HybridConcatConnectorSpec,
    "identity": IdentityConnectorSpec,
    "linear": LinearConnectorSpec,
    "mlp": MlpConnectorSpec,
    "patch_merger": PatchMergerConnectorSpec,
    "qformer": QFormerConnectorSpec,
    "separated_mlp": SeparatedMlpConnectorSpec,
    "unshuffle_mlp": UnshuffleMlpConnectorSpec,
    "vq_embed": VqEmbedConnectorSpec,
    "xattn_resampler_2d": XattnResampler2dConnectorSpec,
}

if TYPE_CHECKING:
    ConnectorSlot = PartSpec
else:
    ConnectorSlot = slot_type(CONNECTORS, SPECS)
