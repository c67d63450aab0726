"""LLaVA-NeXT's AnyRes: the picture whole, then a grid of tiles near its shape; and the tokens that this makes.

Sizes are pixels; a grid is (rows, columns) of square tiles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.layout.resize import Crop, Pad, Resize, ResizeHistory, Step, plan_resize
from geoprose.layout.visual import Plan, VisualLayout

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LLAVA_NEXT_GRIDS = ((1, 2), (2, 1), (2, 2), (3, 1), (1, 3))


@dataclass(frozen=True)
class AnyresResolution:
    """The picture stretched to one tile, then tiles of the picture fitted into a grid, row by row.

    Attributes:
        image_size: Side of a tile, pixels.
        grids: Grids to choose from, (rows, columns) each; the first of equally good ones is taken.

    Source:
        LLaVA-NeXT (llava-vl.github.io/blog/2024-01-30-llava-next); ``process_anyres_image`` of haotian-liu/LLaVA
        llava/mm_utils.py, and transformers' LLaVA-NeXT image processor.
    """

    image_size: int
    grids: tuple[tuple[int, int], ...] = LLAVA_NEXT_GRIDS

    def __post_init__(self) -> None:
        """Take lists (JSON has no tuples), and refuse grids that do not exist."""
        object.__setattr__(self, "grids", checked_grids(self.grids))
        if self.image_size < 1:
            raise ConfigError(f"A tile side of {self.image_size} px is impossible; set image_size to 1 px or more.")

    def plan(self, width_px: int, height_px: int) -> Plan:
        """Return the whole picture first, then the tiles of its grid.

        Raises:
            ProcessingError: If the picture has no pixels.
        """
        whole = plan_resize(width_px, height_px, "resize", self.image_size)
        sizes = [(rows * self.image_size, columns * self.image_size) for rows, columns in self.grids]
        canvas_height_px, canvas_width_px = select_best_resolution((height_px, width_px), sizes)
        steps = fit_steps(width_px, height_px, canvas_width_px, canvas_height_px)
        rows, columns = canvas_height_px // self.image_size, canvas_width_px // self.image_size
        tiles = cut_grid((width_px, height_px), steps, rows, columns, self.image_size)
        layout = VisualLayout(rows=rows, columns=columns, thumbnail=1, height_px=height_px, width_px=width_px)
        return Plan(layout, (whole, *tiles), whole)


def checked_grids(grids: Iterable[Any]) -> tuple[tuple[int, int], ...]:
    """Return the grids as tuples.

    Raises:
        ConfigError: If there is none, or one is not two positive numbers.
    """
    pairs = tuple(tuple(grid) for grid in grids)
    if not pairs or any(len(pair) != 2 or min(pair) < 1 for pair in pairs):
        raise ConfigError(f"grids must list at least one [rows, columns] of positive numbers, got {list(pairs)}.")
    return tuple((int(rows), int(columns)) for rows, columns in pairs)


def select_best_resolution(size_hw: tuple[int, int], candidates_hw: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Return the candidate (height, width) that keeps most of a picture's pixels and then wastes least of its own.

    Source:
        ``select_best_resolution`` of haotian-liu/LLaVA llava/mm_utils.py; transformers has the same.

    Raises:
        ProcessingError: If the picture has no pixels.
    """
    height_px, width_px = size_hw
    if width_px < 1 or height_px < 1:
        raise ProcessingError(f"A picture of {width_px}x{height_px} px has no pixels; give one of at least 1x1 px.")
    best, best_kept, best_wasted = candidates_hw[0], -1, 0
    for height, width in candidates_hw:
        scale = min(width / width_px, height / height_px)
        kept = min(int(width_px * scale) * int(height_px * scale), width_px * height_px)
        wasted = width * height - kept
        if kept > best_kept or (kept == best_kept and wasted < best_wasted):
            best, best_kept, best_wasted = (height, width), kept, wasted
    return best


def fit_steps(width_px: int, height_px: int, canvas_width_px: int, canvas_height_px: int) -> tuple[Step, ...]:
    """Return how a picture is scaled to fit a canvas and set in its middle, on black.

    Source:
        ``resize_and_pad_image`` of haotian-liu/LLaVA llava/mm_utils.py: the longer edge fits, the other rounds up.
    """
    scale_x, scale_y = canvas_width_px / width_px, canvas_height_px / height_px
    if scale_x < scale_y:
        new_width_px, new_height_px = canvas_width_px, min(math.ceil(height_px * scale_x), canvas_height_px)
    else:
        new_width_px, new_height_px = min(math.ceil(width_px * scale_y), canvas_width_px), canvas_height_px
    left_px, top_px = (canvas_width_px - new_width_px) // 2, (canvas_height_px - new_height_px) // 2
    resize = Resize(new_width_px, new_height_px, new_width_px / width_px, new_height_px / height_px)
    return resize, Pad(left_px, top_px, canvas_width_px, canvas_height_px, "black")


def cut_grid(
    size_px: tuple[int, int], steps: tuple[Step, ...], rows: int, columns: int, side_px: int
) -> tuple[ResizeHistory, ...]:
    """Return the tiles of the canvas that ``steps`` make of a picture of ``size_px`` (width, height), row by row."""
    return tuple(
        ResizeHistory(size_px, (side_px, side_px), (*steps, Crop(column * side_px, row * side_px, side_px, side_px)))
        for row in range(rows)
        for column in range(columns)
    )


def token_side(tokens_per_tile: int) -> int:
    """Return the tokens along one edge of a tile.

    Raises:
        ConfigError: If the tokens of a tile are not a square.
    """
    side = math.isqrt(tokens_per_tile)
    if side * side != tokens_per_tile:
        raise ConfigError(
            f"This packer lays tiles out in rows, but the connector makes {tokens_per_tile} tokens of one, which is no "
            "square; use a connector that keeps the grid of patches, such as mlp."
        )
    return side


def unpad_margins(rows: int, columns: int, layout: VisualLayout) -> tuple[int, int]:
    """Return how many rows and columns of tokens to cut off at either edge, because they show padding only.

    Args:
        rows: Tokens along the height of the whole grid.
        columns: Tokens along its width.
        layout: The visual; its original size decides.

    Source:
        ``unpad_image`` of haotian-liu/LLaVA llava/model/llava_arch.py, with the rounding of transformers' processor.
    """
    height_px, width_px = layout.height_px, layout.width_px
    if width_px < 1 or height_px < 1:
        raise ProcessingError(
            "visual_layouts hold no picture size, which this packer needs; encode pictures with the system's processor."
        )
    if width_px / height_px > columns / rows:
        kept = int(round(height_px * (columns / width_px), 7))
        return (rows - kept) // 2, 0
    kept = int(round(width_px * (rows / height_px), 7))
    return 0, (columns - kept) // 2


def unpadded_grid(layout: VisualLayout, side: int) -> tuple[int, int]:
    """Return rows and columns of tokens that remain of a visual's grid of tiles with ``side`` tokens along an edge."""
    rows, columns = layout.rows * side, layout.columns * side
    top, left = unpad_margins(rows, columns, layout)
    return rows - 2 * top, columns - 2 * left


def needs_thumbnail(layout: VisualLayout) -> bool:
    """Tell whether a visual has a grid of tiles behind its whole view (False: it is the whole view alone).

    Raises:
        ProcessingError: If it has several tiles and no whole view.
    """
    if layout.thumbnail == 0 and layout.num_tiles > 1:
        raise ProcessingError(
            f"This packer wants the whole picture before the tiles, but a visual has {layout.num_tiles} tiles without "
            "it; use the resolution that belongs to the packer."
        )
    return layout.thumbnail == 1


class LlavaNextArrangement:
    """The whole view, then the tiles as one picture without its padding, each row ended by a newline."""

    def segments(self, layout: VisualLayout, tokens_per_tile: int) -> tuple[int, ...]:
        """Return one run; a visual of one tile ends with a single newline."""
        if not needs_thumbnail(layout):
            return (tokens_per_tile + 1,)
        rows, columns = unpadded_grid(layout, token_side(tokens_per_tile))
        return (tokens_per_tile + rows * (columns + 1),)
