"""LLaVA-OneVision: LLaVA-NeXT with a limit on the grid, and pooled video frames.

Shapes: T frames, V tokens per tile, D language-model width, R C rows and columns of tokens of a grid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from geoprose.layout.anyres import token_side
from geoprose.layout.onevision import OnevisionArrangement, pooled_side, shrunk_grid
from geoprose.models.parts.packers.llava_next import LlavaNextPacker

if TYPE_CHECKING:
    from torch import Tensor

    from geoprose.layout.visual import VisualLayout


class OnevisionPacker(LlavaNextPacker):
    """As LLaVA-NeXT; a large grid is scaled down, a video is ``[pooled frames; newline]``.

    Args:
        width: D.
        max_tiles: Tiles whose tokens a picture may take before its grid is scaled down (``anyres_max_9``).

    Source:
        arXiv:2408.03326 section 3.2; ``pack_image_features`` and ``apply_pooling`` of transformers' LLaVA-OneVision.
    """

    def __init__(self, width: int, max_tiles: int = 9) -> None:
        super().__init__(width)
        self.max_tiles = OnevisionArrangement(max_tiles).max_tiles

    def pack(self, tiles_NVD: Tensor, layout: VisualLayout) -> Tensor:
        """Return the tokens of one picture (V + R * (C + 1), D), or of one video (T * pooled + 1, D)."""
        if not layout.has_whole_frames_only:
            return super().pack(tiles_NVD, layout)
        side = token_side(tiles_NVD.shape[1])
        frames_TRCD = tiles_NVD.reshape(layout.frames, side, side, -1)
        pooled_TRCD = interpolate(frames_TRCD, pooled_side(side), pooled_side(side))
        return torch.cat([pooled_TRCD.flatten(0, 2), self.image_newline.to(tiles_NVD.dtype)[None]])

    def fit(self, grid_RCD: Tensor, side: int) -> Tensor:
        """Return the grid, scaled down where it takes more than about ``max_tiles`` tiles."""
        rows, columns = shrunk_grid(grid_RCD.shape[0], grid_RCD.shape[1], side, self.max_tiles)
        return grid_RCD if (rows, columns) == grid_RCD.shape[:2] else interpolate(grid_RCD[None], rows, columns)[0]


def interpolate(grids_NRCD: Tensor, rows: int, columns: int) -> Tensor:
    """Return grids of ``rows`` by ``columns`` tokens, bilinear at the centres of the new cells."""
    grids_NDRC = F.interpolate(grids_NRCD.permute(0, 3, 1, 2), size=(rows, columns), mode="bilinear")
    return grids_NDRC.permute(0, 2, 3, 1)
