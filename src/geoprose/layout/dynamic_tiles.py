"""InternVL's dynamic tiling: a grid of tiles near the picture's shape, and the whole picture as the last tile."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.layout.resize import Crop, Resize, ResizeHistory, plan_resize
from geoprose.layout.visual import Plan, VisualLayout


@dataclass(frozen=True)
class DynamicTilesResolution:
    """Stretch the picture to a grid of tiles, cut it, and add the whole picture as a thumbnail.

    Attributes:
        image_size: Side of a tile, pixels.
        min_tiles: Fewest tiles of a grid.
        max_tiles: Most tiles of a grid, thumbnail not counted (InternVL trains with 12 and tests with up to 40).
        thumbnail: Add the whole picture as the last tile where the grid has more than one.

    Source:
        arXiv:2404.16821 section 3.3; ``dynamic_preprocess`` of OpenGVLab/InternVL (train/dataset.py).
    """

    image_size: int
    min_tiles: int = 1
    max_tiles: int = 12
    thumbnail: bool = True

    def __post_init__(self) -> None:
        """Refuse limits that no grid meets before the first picture comes."""
        if self.image_size < 1:
            raise ConfigError(f"A tile side of {self.image_size} px is impossible; set image_size to 1 px or more.")
        if not 1 <= self.min_tiles <= self.max_tiles:
            raise ConfigError(
                f"No grid has between {self.min_tiles} and {self.max_tiles} tiles; "
                "set 1 <= min_tiles <= max_tiles in the resolution."
            )

    def plan(self, width_px: int, height_px: int) -> Plan:
        """Return the tiles row by row, the thumbnail last.

        Raises:
            ProcessingError: If the picture has no pixels.
        """
        whole = plan_resize(width_px, height_px, "resize", self.image_size)
        columns, rows = best_grid(width_px, height_px, self.image_size, self.min_tiles, self.max_tiles)
        has_thumbnail = self.thumbnail and rows * columns > 1
        layout = VisualLayout(
            rows=rows, columns=columns, thumbnail=int(has_thumbnail), height_px=height_px, width_px=width_px
        )
        tiles = grid_tiles(width_px, height_px, columns, rows, self.image_size)
        return Plan(layout, (*tiles, whole) if has_thumbnail else tiles, whole)


def grid_tiles(width_px: int, height_px: int, columns: int, rows: int, side_px: int) -> tuple[ResizeHistory, ...]:
    """Return the tiles of a picture that is stretched to ``columns`` by ``rows`` tiles, row by row."""
    canvas_width_px, canvas_height_px = columns * side_px, rows * side_px
    stretch = Resize(canvas_width_px, canvas_height_px, canvas_width_px / width_px, canvas_height_px / height_px)
    return tuple(
        ResizeHistory(
            (width_px, height_px),
            (side_px, side_px),
            (stretch, Crop(column * side_px, row * side_px, side_px, side_px)),
        )
        for row in range(rows)
        for column in range(columns)
    )


@lru_cache(maxsize=64)
def candidate_grids(min_tiles: int, max_tiles: int) -> tuple[tuple[int, int], ...]:
    """Return the grids (columns, rows) within the limits, fewest tiles first, then fewest columns."""
    sides = range(1, max_tiles + 1)
    grids = [(columns, rows) for columns in sides for rows in sides if min_tiles <= columns * rows <= max_tiles]
    return tuple(sorted(grids, key=lambda grid: (grid[0] * grid[1], grid[0])))


def best_grid(width_px: int, height_px: int, side_px: int, min_tiles: int, max_tiles: int) -> tuple[int, int]:
    """Return the grid (columns, rows) whose aspect ratio is nearest to the picture's.

    Of grids that are equally near, the later one wins as long as the picture covers more than half of its pixels.

    Raises:
        ProcessingError: If the picture has no pixels.
    """
    if width_px < 1 or height_px < 1:
        raise ProcessingError(f"A picture of {width_px}x{height_px} px has no pixels; give one of at least 1x1 px.")
    best, nearest = (1, 1), float("inf")
    for columns, rows in candidate_grids(min_tiles, max_tiles):
        distance = abs(width_px / height_px - columns / rows)
        is_covered = width_px * height_px > 0.5 * side_px * side_px * columns * rows
        if distance < nearest or (distance == nearest and is_covered):
            best, nearest = (columns, rows), distance
    return best


class InternvlArrangement:
    """Tiles row by row, the thumbnail last, nothing between them.

    Each frame of a video is a picture of its own in InternVL, with ``Frame1: `` and so on in the text.
    """

    def segments(self, layout: VisualLayout, tokens_per_tile: int) -> tuple[int, ...]:
        """Return one run of all tokens of all tiles.

        Raises:
            ProcessingError: If a single tile comes with a thumbnail: InternVL adds none then.
        """
        if layout.thumbnail and layout.rows * layout.columns == 1:
            raise ProcessingError(
                "A picture of one tile has no thumbnail in InternVL; plan its tiles with the resolution dynamic_tiles."
            )
        return (layout.num_tiles * tokens_per_tile,)
