"""Llama 3.2 Vision's resolution: the picture on a canvas of tiles, no thumbnail."""

from __future__ import annotations

import math
from dataclasses import dataclass

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.layout.resize import Crop, Pad, Resize, ResizeHistory
from geoprose.layout.visual import Plan, VisualLayout


def canvases(max_tiles: int) -> list[tuple[int, int]]:
    """Return every (rows, columns) of at most ``max_tiles`` tiles, in the published order.

    The place of a shape in this list, counted from 1, is its aspect ratio id.
    """
    sides = range(1, max_tiles + 1)
    return [(rows, columns) for rows in sides for columns in sides if rows * columns <= max_tiles]


@dataclass(frozen=True)
class TiledCanvasResolution:
    """Choose the canvas that enlarges the picture least (else shrinks it least), fit, pad with black, cut.

    Attributes:
        image_size: Side of a tile, pixels.
        max_tiles: Most tiles of a canvas.

    Source:
        ``get_optimal_tiled_canvas`` and ``get_image_size_fit_to_canvas`` of transformers' Mllama.
    """

    image_size: int
    max_tiles: int = 4

    def __post_init__(self) -> None:
        """Refuse impossible sizes."""
        if self.image_size < 1 or self.max_tiles < 1:
            raise ConfigError(
                f"A canvas of {self.max_tiles} tiles of {self.image_size} px is impossible; both are >= 1."
            )

    def plan(self, width_px: int, height_px: int) -> Plan:
        """Return the tiles of the canvas, row by row.

        Raises:
            ProcessingError: If the picture has no pixels.
        """
        if width_px < 1 or height_px < 1:
            raise ProcessingError(f"A picture of {width_px}x{height_px} px has no pixels; give one of at least 1x1 px.")
        rows, columns = self._canvas(width_px, height_px)
        side = self.image_size
        new_width, new_height = self._fit(width_px, height_px, columns * side, rows * side)
        resize = Resize(new_width, new_height, new_width / width_px, new_height / height_px)
        pad = Pad(0, 0, columns * side, rows * side, fill="black")
        original = (width_px, height_px)
        tiles = tuple(
            ResizeHistory(original, (side, side), (resize, pad, Crop(column * side, row * side, side, side)))
            for row in range(rows)
            for column in range(columns)
        )
        whole = ResizeHistory(original, (columns * side, rows * side), (resize, pad))
        return Plan(VisualLayout(1, rows, columns, 0, height_px, width_px), tiles, whole)

    def _canvas(self, width_px: int, height_px: int) -> tuple[int, int]:
        def scale(shape: tuple[int, int]) -> float:
            return min(shape[0] * self.image_size / height_px, shape[1] * self.image_size / width_px)

        shapes = canvases(self.max_tiles)
        scales = [scale(shape) for shape in shapes]
        enlarging = [value for value in scales if value >= 1]
        chosen = min(enlarging) if enlarging else max(scales)
        return min((s for s, value in zip(shapes, scales, strict=True) if value == chosen), key=lambda s: s[0] * s[1])

    def _fit(self, width_px: int, height_px: int, canvas_width: int, canvas_height: int) -> tuple[int, int]:
        width = min(max(width_px, self.image_size), canvas_width)
        height = min(max(height_px, self.image_size), canvas_height)
        if width / width_px < height / height_px:
            return width, min(math.floor(height_px * (width / width_px)) or 1, height)
        return min(math.floor(width_px * (height / height_px)) or 1, width), height
