"""Videos as pooled frames, one after the other.

Shapes: T frames, V tokens per tile, D language-model width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch.nn.functional as F

from geoprose.layout.anyres import token_side
from geoprose.layout.video import pooled_by
from geoprose.models.parts.contracts import Packer
from geoprose.models.parts.packers.flat import split_tiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from geoprose.layout.visual import VisualLayout


class VideoPacker(Packer):
    """Frames one after the other, each averaged over squares of tokens; a picture as it is.

    Args:
        width: D.
        pool: Side of a square (2 in LLaVA-NeXT-Video: 576 tokens become 144).

    Source:
        llava-vl.github.io/blog/2024-04-30-llava-next-video; ``LlavaNextVideoPooler`` of transformers.
    """

    def __init__(self, width: int, pool: int = 2) -> None:
        super().__init__(width)
        self.pool = pool

    def forward(self, tokens_NVD: Tensor, layouts: Sequence[VisualLayout]) -> Sequence[Tensor]:
        """Return (tiles * V, D) of a picture, (T * V / pool^2, D) of a video.

        Raises:
            ProcessingError: If the layouts ask for another number of tiles than there are.
            ConfigError: If the tokens of a frame are no square grid that ``pool`` divides.
        """
        pairs = zip(split_tiles(tokens_NVD, layouts), layouts, strict=True)
        return [self._pooled(t) if layout.has_whole_frames_only else t.flatten(0, 1) for t, layout in pairs]

    def _pooled(self, frames_TVD: Tensor) -> Tensor:
        side = token_side(frames_TVD.shape[1])
        pooled_by(side, self.pool)
        grid_TDRC = frames_TVD.transpose(1, 2).reshape(len(frames_TVD), -1, side, side)
        return F.avg_pool2d(grid_TDRC, self.pool).flatten(2).transpose(1, 2).flatten(0, 1)
