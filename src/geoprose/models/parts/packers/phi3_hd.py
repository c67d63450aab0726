"""Phi-3-Vision: the tiles as one picture, then the small view, separators between rows and views.

Shapes: N tiles, V tokens per tile with two separators at the end, D language-model width, R C rows and columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from geoprose.layout.anyres import needs_thumbnail, token_side
from geoprose.layout.phi3_hd import NUM_SEPARATORS
from geoprose.models.parts.contracts import Packer
from geoprose.models.parts.packers.flat import split_tiles
from geoprose.models.parts.packers.llava_next import join_tiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from geoprose.layout.visual import VisualLayout


class Phi3HdPacker(Packer):
    """``[rows of the tiles; border; rows of the small view]``, each row ended (order ``sub_glb``).

    Goes with the connector ``separated_mlp``, whose last two tokens of a tile are the end of a row and the border.

    Source:
        ``hd_feature_transform`` of microsoft/Phi-3-vision-128k-instruct image_embedding_phi3_v.py; it ends the rows of
        both views with ``sub_GN``.
    """

    def forward(self, tokens_NVD: Tensor, layouts: Sequence[VisualLayout]) -> Sequence[Tensor]:
        """Return one run (m, D) per visual.

        Raises:
            ProcessingError: If the layouts do not fit the tiles, or a visual has tiles and no small view.
            ConfigError: If the tokens of a tile are not a square and two separators.
        """
        pairs = zip(split_tiles(tokens_NVD, layouts), layouts, strict=True)
        return [_pack(tiles_NVD, layout) for tiles_NVD, layout in pairs]


def _pack(tiles_NVD: Tensor, layout: VisualLayout) -> Tensor:
    side = token_side(tiles_NVD.shape[1] - NUM_SEPARATORS)
    row_end_D, border_D = tiles_NVD[0, -NUM_SEPARATORS:]
    patches_NVD = tiles_NVD[:, :-NUM_SEPARATORS]
    small = _ended(patches_NVD[0].reshape(side, side, -1), row_end_D)
    if not needs_thumbnail(layout):
        return small
    return torch.cat([_ended(join_tiles(patches_NVD[1:], layout), row_end_D), border_D[None], small])


def _ended(grid_RCD: Tensor, row_end_D: Tensor) -> Tensor:
    """Return the tokens of a grid row by row, each row with its end (R * (C + 1), D)."""
    return torch.cat([grid_RCD, row_end_D.expand(grid_RCD.shape[0], 1, -1)], dim=1).flatten(0, 1)
