"""DeepSeek-VL2: the whole view and the joined tiles, a learned newline behind every row, a separator between the two.

Shapes: N tiles, V tokens per tile, D language-model width, R C rows and columns of tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from geoprose.layout.candidate_tiles import DeepseekVl2Arrangement
from geoprose.models.parts.contracts import Packer
from geoprose.models.parts.packers.flat import split_tiles
from geoprose.models.parts.packers.llava_next import join_tiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.layout.visual import VisualLayout


class DeepseekVl2Packer(Packer):
    """``[rows of the whole view; separator; rows of the tiles]``, newline behind every row.

    Args:
        width: D.
        global_first: False puts the tiles before the whole view.

    Source:
        arXiv:2412.10302 section 2.1; ``tile_tag`` 2D of deepseek-ai/DeepSeek-VL2, whose ``view_seperator`` this is.
    """

    def __init__(self, width: int, global_first: bool = True) -> None:
        super().__init__(width)
        self.global_first = global_first
        self.newline = nn.Parameter(torch.empty(width))
        self.view_separator = nn.Parameter(torch.empty(width))
        self.init_weights()

    def init_weights(self) -> None:
        """Draw both at the scale of a word embedding of unit length."""
        nn.init.normal_(self.newline, std=self.newline.numel() ** -0.5)
        nn.init.normal_(self.view_separator, std=self.view_separator.numel() ** -0.5)

    def forward(self, tokens_NVD: Tensor, layouts: Sequence[VisualLayout]) -> Sequence[Tensor]:
        """Return one (m, D) per visual.

        Raises:
            ProcessingError: If the layouts do not fit the tiles, have no whole view, or tiles are not square.
        """
        arrangement = DeepseekVl2Arrangement(self.global_first)
        for layout in layouts:
            arrangement.segments(layout, tokens_NVD.shape[1])
        pairs = zip(split_tiles(tokens_NVD, layouts), layouts, strict=True)
        return [self.pack(tiles_NVD, layout) for tiles_NVD, layout in pairs]

    def pack(self, tiles_NVD: Tensor, layout: VisualLayout) -> Tensor:
        """Return the tokens of one visual; the whole view is its first tile."""
        whole = self._rows(join_tiles(tiles_NVD[:1], layout._replace(rows=1, columns=1)))
        tiles = self._rows(join_tiles(tiles_NVD[1:], layout))
        separator = self.view_separator.to(tiles_NVD.dtype)[None]
        return torch.cat([whole, separator, tiles] if self.global_first else [tiles, separator, whole])

    def _rows(self, grid_RCD: Tensor) -> Tensor:
        newlines_R1D = self.newline.to(grid_RCD.dtype).expand(grid_RCD.shape[0], 1, -1)
        return torch.cat([grid_RCD, newlines_R1D], dim=1).flatten(0, 1)
