"""Cut the globe into tiles that are worth asking about, each with its label facts."""

# H, W rows and columns of a picture; G cells along a side; C classes

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geoprose.core.types import GeoRef
from geoprose.data.world.classes import NUM_CLASSES, UNLABELLED

if TYPE_CHECKING:
    from numpy.typing import NDArray

GRID = 4
"""Cells along each side of a tile for the composition by cell."""
CRS = "EPSG:4326"


@dataclass(frozen=True)
class Tile:
    """A square window of the globe.

    Attributes:
        x_px: Left edge in pixels of the global picture.
        y_px: Top edge.
        side_px: Side.
        digest: SHA-256 of the pixels.
        turn: Which of the eight symmetries of the square was applied; 0 leaves the tile as it lies on the globe.
    """

    x_px: int
    y_px: int
    side_px: int
    digest: str
    turn: int = 0

    @property
    def id(self) -> str:
        """Name of the tile, unique in the world."""
        return f"x{self.x_px:04d}_y{self.y_px:04d}" + (f"_t{self.turn}" if self.turn else "")

    @property
    def image_path(self) -> str:
        """Path of the tile's picture below the dataset's folder."""
        return f"images/{self.id}.png"


@dataclass(frozen=True)
class TileFacts:
    """What the labels say about one tile.

    Attributes:
        tile: The tile.
        labels_HW: Class index per pixel, `UNLABELLED` where there is none.
        fractions_C: Share of the tile's area per class; sums to at most 1.
        cells_GGC: Share of each cell's area per class; row 0 is north.
    """

    tile: Tile
    labels_HW: NDArray[np.uint8]
    fractions_C: NDArray[np.float64]
    cells_GGC: NDArray[np.float64]


def facts_of(tile: Tile, labels_HW: NDArray[np.uint8]) -> TileFacts:
    """Measure the composition of a tile from its labels, whole and by cell."""
    side = labels_HW.shape[0] // GRID
    blocks = labels_HW.reshape(GRID, side, GRID, side).transpose(0, 2, 1, 3).reshape(GRID * GRID, side * side)
    # One bincount for all cells: each cell gets its own range of codes.
    codes = np.where(blocks == UNLABELLED, NUM_CLASSES, blocks) + (NUM_CLASSES + 1) * np.arange(GRID * GRID)[:, None]
    counts = np.bincount(codes.ravel(), minlength=GRID * GRID * (NUM_CLASSES + 1))
    cells_GGC = counts.reshape(GRID, GRID, NUM_CLASSES + 1)[..., :NUM_CLASSES] / (side * side)
    return TileFacts(tile, labels_HW, cells_GGC.mean(axis=(0, 1)), cells_GGC)


def turned(picture: NDArray[np.uint8], turn: int) -> NDArray[np.uint8]:
    """Apply symmetry ``turn`` of the square to the first two axes: ``turn % 4`` quarter turns, mirrored from 4 on."""
    mirrored = picture[:, ::-1] if turn >= 4 else picture
    return np.ascontiguousarray(np.rot90(mirrored, turn % 4))


def digest_of(picture_HWC: NDArray[np.uint8]) -> str:
    """Return the SHA-256 of the pixels."""
    return hashlib.sha256(np.ascontiguousarray(picture_HWC).tobytes()).hexdigest()


def globe_georef(width_px: int, height_px: int) -> GeoRef:
    """Return the georeference of the global picture: pixel edges from 180 W and 90 N."""
    return GeoRef((360 / width_px, 0.0, -180.0, 0.0, -180 / height_px, 90.0), CRS, width_px, height_px)


def tile_georef(tile: Tile, globe: GeoRef) -> GeoRef | None:
    """Return where the tile lies; None for a turned tile, which has no north."""
    if tile.turn:
        return None
    a, _, c, _, e, f = globe.transform
    return GeoRef((a, 0.0, c + a * tile.x_px, 0.0, e, f + e * tile.y_px), CRS, tile.side_px, tile.side_px)
