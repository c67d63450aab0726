"""DeepSeek-VL2's tiling: the whole picture first, then the grid of tiles that shows most of it; and its tokens.

A grid is (columns, rows) of square tiles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.layout.resize import Crop, Pad, Resize, ResizeHistory, plan_resize
from geoprose.layout.visual import Plan, VisualLayout


@dataclass(frozen=True)
class CandidateTilesResolution:
    """The picture fitted into one tile, then fitted into a grid and cut; padded with the mean colour.

    Attributes:
        image_size: Side of a tile, pixels.
        max_tiles: Most tiles of a grid; every grid of up to so many is a candidate.
        max_tiled_pictures: With more pictures in a sample, each has a grid of one tile.

    Source:
        arXiv:2412.10302 section 2.1; ``tokenize_with_images`` of deepseek-ai/DeepSeek-VL2.
    """

    image_size: int
    max_tiles: int = 9
    max_tiled_pictures: int = 2

    def __post_init__(self) -> None:
        """Refuse impossible limits before the first picture comes."""
        if self.image_size < 1 or self.max_tiles < 1:
            raise ConfigError(
                f"Tiles of {self.image_size} px, at most {self.max_tiles} of them, are impossible; set image_size and "
                "max_tiles of the resolution to 1 or more."
            )

    def in_sample(self, num_pictures: int) -> CandidateTilesResolution:
        """Return the resolution of each picture in a sample of ``num_pictures``."""
        if num_pictures <= self.max_tiled_pictures:
            return self
        return CandidateTilesResolution(self.image_size, 1, self.max_tiled_pictures)

    def plan(self, width_px: int, height_px: int) -> Plan:
        """Return the whole picture, then the tiles row by row.

        Raises:
            ProcessingError: If the picture has no pixels.
        """
        side = self.image_size
        columns, rows = best_candidate(width_px, height_px, side, self.max_tiles)
        overview = ResizeHistory((width_px, height_px), (side, side), contain_steps(width_px, height_px, side, side))
        steps = contain_steps(width_px, height_px, columns * side, rows * side)
        tiles = (
            ResizeHistory((width_px, height_px), (side, side), (*steps, Crop(x * side, y * side, side, side)))
            for y in range(rows)
            for x in range(columns)
        )
        layout = VisualLayout(rows=rows, columns=columns, thumbnail=1, height_px=height_px, width_px=width_px)
        return Plan(layout, (overview, *tiles), plan_resize(width_px, height_px, "resize", side))


@lru_cache(maxsize=64)
def candidate_grids(max_tiles: int) -> tuple[tuple[int, int], ...]:
    """Return the candidates: fewest tiles first, then the longest ones, the upright one of a pair first."""
    sides = range(1, max_tiles + 1)
    grids = [(columns, rows) for columns in sides for rows in sides if columns * rows <= max_tiles]
    return tuple(sorted(grids, key=lambda grid: (grid[0] * grid[1], min(grid), grid[0])))


def best_candidate(width_px: int, height_px: int, side_px: int, max_tiles: int) -> tuple[int, int]:
    """Return the grid (columns, rows) that keeps most pixels of the picture, and of those the smallest.

    Raises:
        ProcessingError: If the picture has no pixels.
    """
    if width_px < 1 or height_px < 1:
        raise ProcessingError(f"A picture of {width_px}x{height_px} px has no pixels; give one of at least 1x1 px.")

    def rank(grid: tuple[int, int]) -> tuple[int, int]:
        canvas_width_px, canvas_height_px = grid[0] * side_px, grid[1] * side_px
        scale = min(canvas_width_px / width_px, canvas_height_px / height_px)
        kept = min(int(width_px * scale) * int(height_px * scale), width_px * height_px)
        return kept, kept - canvas_width_px * canvas_height_px

    return max(candidate_grids(max_tiles), key=rank)


def contain_steps(
    width_px: int, height_px: int, canvas_width_px: int, canvas_height_px: int
) -> tuple[Resize | Pad, ...]:
    """Return the steps that fit a picture into a canvas and pad the rest (Pillow's ``ImageOps.pad``)."""
    new_width_px, new_height_px = canvas_width_px, canvas_height_px
    if width_px / height_px > canvas_width_px / canvas_height_px:
        new_height_px = max(1, round(height_px / width_px * canvas_width_px))
    elif width_px / height_px < canvas_width_px / canvas_height_px:
        new_width_px = max(1, round(width_px / height_px * canvas_height_px))
    resize = Resize(new_width_px, new_height_px, new_width_px / width_px, new_height_px / height_px)
    if (new_width_px, new_height_px) == (canvas_width_px, canvas_height_px):
        return (resize,)
    left_px, top_px = round((canvas_width_px - new_width_px) * 0.5), round((canvas_height_px - new_height_px) * 0.5)
    return resize, Pad(left_px, top_px, canvas_width_px, canvas_height_px)


class DeepseekVl2Arrangement:
    """Rows of the whole view, a separator, rows of the joined tiles; one newline behind every row."""

    def __init__(self, global_first: bool = True) -> None:
        self.global_first = global_first

    def segments(self, layout: VisualLayout, tokens_per_tile: int) -> tuple[int, ...]:
        """Return one run of all tokens, newlines and separator.

        Raises:
            ProcessingError: If the visual has no whole view, or the tokens of a tile are not a square.
        """
        side = math.isqrt(tokens_per_tile)
        if side**2 != tokens_per_tile or not layout.thumbnail:
            raise ProcessingError(
                f"deepseek_vl2 needs a whole view and square tiles; got {tokens_per_tile} tokens per tile and "
                f"{'a' if layout.thumbnail else 'no'} whole view. Plan tiles with the resolution candidate_tiles."
            )
        return (side * (side + 1) + 1 + layout.rows * side * (layout.columns * side + 1),)
