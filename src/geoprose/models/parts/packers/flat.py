"""The simplest packer: tiles one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from geoprose.core.errors import ProcessingError
from geoprose.models.parts.contracts import Packer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from geoprose.layout.visual import VisualLayout


class FlatPacker(Packer):
    """Tiles one after the other, tokens in raster order, nothing between them (LLaVA, LLaVA-1.5)."""

    def forward(self, tokens_NVD: Tensor, layouts: Sequence[VisualLayout]) -> Sequence[Tensor]:
        """Return one (tiles * V, D) per visual."""
        return [tiles.flatten(0, 1) for tiles in split_tiles(tokens_NVD, layouts)]


def split_tiles(tokens_NVD: Tensor, layouts: Sequence[VisualLayout]) -> Sequence[Tensor]:
    """Return the tiles (n, V, D) of each visual.

    Raises:
        ProcessingError: If the layouts ask for another number of tiles than there are.
    """
    counts = [layout.num_tiles for layout in layouts]
    if sum(counts) != tokens_NVD.shape[0]:
        raise ProcessingError(
            f"visual_layouts describe {sum(counts)} tiles but the pictures gave {tokens_NVD.shape[0]}; encode pictures "
            "and text with the same processor."
        )
    return torch.split(tokens_NVD, counts)
