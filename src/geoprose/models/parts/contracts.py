"""What each slot promises; every attribute that others rely on is declared here.

Shapes: N tiles (whole batch), C channels, H W pixels, P patches per tile, E encoder width, V visual tokens per tile,
D language-model width, B batch, T text length, M visual tokens of the whole batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedConfig


class VisionEncoder(nn.Module, ABC):
    """Pixels to patch features; prefix tokens (class, registers) are already removed.

    Attributes:
        model_type: transformers model type of the vision config this part needs.
        hidden_size: Width E of a patch feature.
        patch_size: Side of a patch, pixels.
        image_size: Side of the tile the position table is made for, pixels.
        pool: Patches are averaged over ``pool * pool`` before they leave.
    """

    model_type: ClassVar[str]
    hidden_size: int
    patch_size: int
    image_size: int
    pool: int

    @abstractmethod
    def __init__(
        self,
        config: PreTrainedConfig,
        feature_layer: int | Sequence[int] | None = None,
        pool: int = 1,
        final_norm: bool = False,
        truncate: bool = False,
    ) -> None:
        """Build from a vision config; ``feature_layer`` None means the final, normalised layer."""
        super().__init__()

    @abstractmethod
    def forward(self, pixel_values_NCHW: Tensor) -> Tensor:
        """Return patch features (N, P, E) in raster order."""

    @abstractmethod
    def num_patches(self) -> int:
        """Return P, after pooling."""

    @abstractmethod
    def is_dropped(self, name: str) -> bool:
        """Tell whether a weight of the pretrained model belongs to a block that this encoder leaves out."""

    @abstractmethod
    def unused_parameter_names(self) -> list[str]:
        """Return the parameters, relative to this part, that never get a gradient."""

    def freeze_unused(self) -> None:
        """Freeze what never gets a gradient; loading a checkpoint forgets it, so loaders call this again."""
        for name in self.unused_parameter_names():
            self.get_parameter(name).requires_grad_(False)

    @abstractmethod
    def position_table_key(self) -> str:
        """Return the state-dict key of the position table."""

    @abstractmethod
    def num_prefix_positions(self) -> int:
        """Return the rows of the position table that belong to prefix tokens."""


class Connector(nn.Module, ABC):
    """Patch features to visual tokens of the language model's width.

    Attributes:
        in_size: Width E of a patch feature.
        out_size: Width D of a visual token.
    """

    in_size: int
    out_size: int

    @abstractmethod
    def __init__(self, in_size: int, out_size: int, **options: Any) -> None:
        """Build from flat keyword arguments."""
        super().__init__()

    @abstractmethod
    def forward(self, features_NPE: Tensor) -> Tensor:
        """Return visual tokens (N, V, D)."""

    @abstractmethod
    def num_visual_tokens(self, num_patches: int) -> int:
        """Return V for P patches, without running."""

    def initialise_output_scale(self, embedding_std: float) -> None:
        """Take the standard deviation of the word embeddings as the scale of the output, where that applies."""
        return

    def init_weights(self) -> None:
        """Fill the tensors that no ``nn.Linear`` or ``nn.LayerNorm`` owns, where there are any."""
        return


class Packer(ABC):
    """Visual tokens of tiles to one row of visual tokens; adds separators where a system has them."""

    @abstractmethod
    def pack(self, visual_tokens_NVD: Tensor) -> Tensor:
        """Return (M, D) in batch order."""

    @abstractmethod
    def num_tokens(self, num_tiles: int, num_visual_tokens: int) -> int:
        """Return M for that many tiles; a property test holds it equal to what pack returns."""


class Fusion(ABC):
    """Owns how visual tokens enter the language model."""

    @abstractmethod
    def merge(self, embeds_BTD: Tensor, visual_tokens_MD: Tensor, is_visual_BT: Tensor) -> Tensor:
        """Return the embeddings (B, T, D) that the language model reads."""


class Positions(ABC):
    """Position ids of the language model."""

    @abstractmethod
    def build(self, attention_mask: Tensor | None, past_length: int, text_length: int) -> Tensor | None:
        """Return position ids (B, T), or None for the language model's own 0, 1, 2, ..."""
