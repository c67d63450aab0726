"""InternVL's packer: tiles row by row, then the whole picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.layout.dynamic_tiles import InternvlArrangement
from geoprose.models.parts.packers.flat import FlatPacker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from geoprose.layout.visual import VisualLayout


class InternvlPacker(FlatPacker):
    """Tiles row by row, the thumbnail last and only where there are several (InternVL 1.5, 2.5, 3).

    Source:
        arXiv:2404.16821 section 3.3.
    """

    def forward(self, tokens_NVD: Tensor, layouts: Sequence[VisualLayout]) -> Sequence[Tensor]:
        """Return one (tiles * V, D) per visual.

        Raises:
            ProcessingError: If a single tile comes with a thumbnail, or the tiles are not as many as the layouts say.
        """
        arrangement = InternvlArrangement()
        for layout in layouts:
            arrangement.segments(layout, tokens_NVD.shape[1])
        return super().forward(tokens_NVD, layouts)
