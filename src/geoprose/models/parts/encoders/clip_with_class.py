"""CLIP's image tower whose class token stays among the features."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.core.errors import ConfigError
from geoprose.models.parts.encoders.hf import ClipEncoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedConfig


class ClipWithClassEncoder(ClipEncoder):
    """CLIP's image tower; the class token is the first of the features, so P is one more than the grid holds.

    Idefics-1 resamples all 257 tokens of ViT-H/14.
    """

    # Contract: ``forward`` of HfEncoder drops this many tokens.
    _num_prefix = 0

    def __init__(
        self,
        config: PreTrainedConfig,
        feature_layer: int | Sequence[int] | None = None,
        pool: int = 1,
        final_norm: bool = False,
        truncate: bool = False,
    ) -> None:
        if pool != 1:
            raise ConfigError("clip_with_class cannot pool: the class token has no place in the grid; set pool to 1.")
        super().__init__(config, feature_layer, pool, final_norm, truncate)

    def num_patches(self) -> int:
        """Return the features per tile, class token included."""
        return super().num_patches() + 1

    def num_prefix_positions(self) -> int:
        """Return 1: the row of the class token."""
        return 1
