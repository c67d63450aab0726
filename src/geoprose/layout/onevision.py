"""LLaVA-OneVision: AnyRes up to 6x6 tiles for one picture, one padded tile for each of several, pooled frames."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geoprose.core.errors import ConfigError
from geoprose.layout.anyres import AnyresResolution, needs_thumbnail, token_side, unpadded_grid
from geoprose.layout.resize import plan_resize
from geoprose.layout.resolutions import FixedResolution
from geoprose.layout.video import plan_frames

if TYPE_CHECKING:
    from geoprose.layout.resolutions import Resolution
    from geoprose.layout.visual import Plan, VisualLayout

MAX_SIDE = 6
SLACK = 1.1
"""How far the edge of the grid may pass its limit before it is scaled down."""


@dataclass(frozen=True)
class OnevisionResolution(AnyresResolution):
    """AnyRes for a picture alone in its sample, one tile padded to a square for each of several, one per video frame.

    Attributes:
        image_size: Side of a tile, pixels.
        grids: Grids to choose from; up to 6 rows and 6 columns by default.

    Source:
        arXiv:2408.03326 section 3.2; transformers' LLaVA-OneVision image and video processors.
    """

    grids: tuple[tuple[int, int], ...] = tuple(
        (rows, columns) for rows in range(1, MAX_SIDE + 1) for columns in range(1, MAX_SIDE + 1)
    )

    def in_sample(self, num_pictures: int) -> Resolution:
        """Return the resolution of each picture in a sample of ``num_pictures``."""
        return self if num_pictures <= 1 else FixedResolution(self.image_size, "pad")

    def plan_video(self, num_frames: int, width_px: int, height_px: int) -> Plan:
        """Return the single tile of each frame, stretched to the square.

        Raises:
            ProcessingError: If there is no frame, or a frame has no pixels.
        """
        return plan_frames(num_frames, plan_resize(width_px, height_px, "resize", self.image_size))


def shrunk_grid(rows: int, columns: int, side: int, max_tiles: int) -> tuple[int, int]:
    """Return the rows and columns of tokens after scaling down to about ``max_tiles`` tiles, or the same if they fit.

    Source:
        arXiv:2408.03326 section 3.2 (equation 1); ``anyres_max_9`` of LLaVA-VL/LLaVA-NeXT llava/model/llava_arch.py.
    """
    ratio = math.sqrt(rows * columns / (max_tiles * side**2))
    return (rows, columns) if ratio <= SLACK else (int(rows // ratio), int(columns // ratio))


def pooled_side(side: int) -> int:
    """Return the tokens along one edge of a video frame: half of a picture's, rounded up."""
    return math.ceil(side / 2)


@dataclass(frozen=True)
class OnevisionArrangement:
    """As LLaVA-NeXT, the grid scaled down where it is large; a video is its pooled frames and one newline.

    Attributes:
        max_tiles: Tiles whose tokens a picture may take, the whole view not counted.
    """

    max_tiles: int = 9

    def __post_init__(self) -> None:
        """Refuse a limit below one tile."""
        if self.max_tiles < 1:
            raise ConfigError(f"max_tiles of the packer must be 1 or more, got {self.max_tiles}.")

    def segments(self, layout: VisualLayout, tokens_per_tile: int) -> tuple[int, ...]:
        """Return one run."""
        side = token_side(tokens_per_tile)
        if layout.has_whole_frames_only:
            return (layout.frames * pooled_side(side) ** 2 + 1,)
        if not needs_thumbnail(layout):
            return (tokens_per_tile + 1,)
        rows, columns = shrunk_grid(*unpadded_grid(layout, side), side, self.max_tiles)
        return (tokens_per_tile + rows * (columns + 1),)
