"""Phi-3-Vision's HD transform: the picture on a canvas of whole tiles, and the same canvas small."""

from __future__ import annotations

import math
from dataclasses import dataclass

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.layout.anyres import cut_grid, needs_thumbnail, token_side
from geoprose.layout.resize import Pad, Resize, ResizeHistory, Step, Transpose
from geoprose.layout.visual import Plan, VisualLayout

NUM_SEPARATORS = 2
"""Vectors that the connector appends to each tile: the end of a row, the border between the two views."""


@dataclass(frozen=True)
class Phi3HdResolution:
    """As many tiles along the longer edge as the limit allows, white beside the shorter; first the canvas, small.

    Attributes:
        image_size: Side of a tile, pixels.
        max_tiles: Most tiles, the small view not counted (``num_crops``).

    Source:
        arXiv:2404.14219 section 7; ``HD_transform`` and ``preprocess`` of microsoft/Phi-3-vision-128k-instruct
        image_processing_phi3_v.py. The small view is made of normalised pixels without smoothing, as published.
    """

    image_size: int = 336
    max_tiles: int = 16

    def __post_init__(self) -> None:
        """Refuse impossible sizes before the first picture comes."""
        if self.image_size < 1 or self.max_tiles < 1:
            raise ConfigError(
                f"image_size {self.image_size} and max_tiles {self.max_tiles} of the resolution must be 1 or more."
            )

    def plan(self, width_px: int, height_px: int) -> Plan:
        """Return the small view first, then the tiles row by row.

        Raises:
            ProcessingError: If the picture has no pixels, or is so narrow that its short edge vanishes.
        """
        if width_px < 1 or height_px < 1:
            raise ProcessingError(f"A picture of {width_px}x{height_px} px has no pixels; give one of at least 1x1 px.")
        is_tall = width_px < height_px
        long_px, short_px = max(width_px, height_px), min(width_px, height_px)
        steps, long_tiles, short_tiles = self._canvas(long_px, short_px)
        rows, columns = (long_tiles, short_tiles) if is_tall else (short_tiles, long_tiles)
        # Why transpose: the published code resizes tall pictures lying on their side, which rounds differently.
        steps = (Transpose(), *steps, Transpose()) if is_tall else steps
        side = self.image_size
        shrink = Resize(side, side, 1 / columns, 1 / rows, antialias=False)
        whole = ResizeHistory((width_px, height_px), (side, side), (*steps, shrink))
        tiles = cut_grid((width_px, height_px), steps, rows, columns, side)
        layout = VisualLayout(rows=rows, columns=columns, thumbnail=1, height_px=height_px, width_px=width_px)
        return Plan(layout, (whole, *tiles), whole)

    def _canvas(self, long_px: int, short_px: int) -> tuple[tuple[Step, ...], int, int]:
        """Return the steps of a picture that lies on its long edge, and the tiles along both edges."""
        ratio = long_px / short_px
        long_tiles = 1
        while (long_tiles + 1) * math.ceil((long_tiles + 1) / ratio) <= self.max_tiles:
            long_tiles += 1
        new_long_px = long_tiles * self.image_size
        new_short_px = int(new_long_px / ratio)
        if new_short_px < 1:
            raise ProcessingError(
                f"A picture with edges of {long_px} and {short_px} px is too narrow: its short edge vanishes on a "
                f"canvas {new_long_px} px long. Crop it or cut it into pieces."
            )
        short_tiles = math.ceil(new_short_px / self.image_size)
        resize = Resize(new_long_px, new_short_px, new_long_px / long_px, new_short_px / short_px)
        canvas_short_px = short_tiles * self.image_size
        pad = Pad(0, (canvas_short_px - new_short_px) // 2, new_long_px, canvas_short_px, "white")
        return (resize, pad), long_tiles, short_tiles


class Phi3HdArrangement:
    """Rows of the tiles, a border, rows of the small view; every row ends with a separator."""

    def segments(self, layout: VisualLayout, tokens_per_tile: int) -> tuple[int, ...]:
        """Return one run; ``tokens_per_tile`` counts the two separators that come with each tile."""
        side = token_side(tokens_per_tile - NUM_SEPARATORS)
        small = side * (side + 1)
        if not needs_thumbnail(layout):
            return (small,)
        return (layout.rows * side * (layout.columns * side + 1) + 1 + small,)
