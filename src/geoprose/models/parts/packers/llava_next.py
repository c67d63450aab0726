"""LLaVA-NeXT: the whole view, then the tiles as one grid without padding, a learned newline behind every row.

Shapes: N tiles, V tokens per tile, D language-model width, R C rows and columns of tokens of a grid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from geoprose.layout.anyres import needs_thumbnail, token_side, unpad_margins
from geoprose.models.parts.contracts import Packer
from geoprose.models.parts.packers.flat import split_tiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.layout.visual import VisualLayout


class LlavaNextPacker(Packer):
    """``[whole view; rows of the unpadded grid, each followed by the newline]``; one tile alone: ``[tile; newline]``.

    Args:
        width: D.

    Source:
        ``prepare_inputs_labels_for_multimodal`` (``spatial_unpad``) of haotian-liu/LLaVA llava/model/llava_arch.py;
        ``pack_image_features`` of transformers' LLaVA-NeXT.
    """

    def __init__(self, width: int, **options: Any) -> None:
        super().__init__(width, **options)
        self.image_newline = nn.Parameter(torch.empty(width))
        self.init_weights()

    def init_weights(self) -> None:
        """Draw the newline at the scale of a word embedding of unit length."""
        nn.init.normal_(self.image_newline, std=self.image_newline.numel() ** -0.5)

    def forward(self, tokens_NVD: Tensor, layouts: Sequence[VisualLayout]) -> Sequence[Tensor]:
        """Return one (V + R * (C + 1), D) per visual.

        Raises:
            ProcessingError: If the layouts do not fit the tiles, or a visual has tiles and no whole view.
            ConfigError: If the tokens of a tile are not a square.
        """
        pairs = zip(split_tiles(tokens_NVD, layouts), layouts, strict=True)
        return [self.pack(tiles_NVD, layout) for tiles_NVD, layout in pairs]

    def pack(self, tiles_NVD: Tensor, layout: VisualLayout) -> Tensor:
        """Return the tokens of one visual."""
        newline_D = self.image_newline.to(tiles_NVD.dtype)
        if not needs_thumbnail(layout):
            return torch.cat([tiles_NVD[0], newline_D[None]])
        grid_RCD = self.fit(unpadded(tiles_NVD[1:], layout), token_side(tiles_NVD.shape[1]))
        newlines_R1D = newline_D.expand(grid_RCD.shape[0], 1, -1)
        return torch.cat([tiles_NVD[0], torch.cat([grid_RCD, newlines_R1D], dim=1).flatten(0, 1)])

    def fit(self, grid_RCD: Tensor, side: int) -> Tensor:
        """Return the grid as it enters the sequence; here unchanged."""
        return grid_RCD


def join_tiles(tiles_NVD: Tensor, layout: VisualLayout) -> Tensor:
    """Return the tokens of a grid of tiles as one picture (R, C, D)."""
    side, width = token_side(tiles_NVD.shape[1]), tiles_NVD.shape[2]
    tiles = tiles_NVD.reshape(layout.rows, layout.columns, side, side, width)
    return tiles.transpose(1, 2).reshape(layout.rows * side, layout.columns * side, width)


def unpadded(tiles_NVD: Tensor, layout: VisualLayout) -> Tensor:
    """Return the tokens of a grid of tiles as one picture, without the rows or columns of padding (R, C, D)."""
    grid_RCD = join_tiles(tiles_NVD, layout)
    top, left = unpad_margins(grid_RCD.shape[0], grid_RCD.shape[1], layout)
    return grid_RCD[top : grid_RCD.shape[0] - top, left : grid_RCD.shape[1] - left]
