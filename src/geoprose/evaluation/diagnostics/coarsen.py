"""Make a picture coarser: mean over areas, as a sensor with a larger pixel would see it, and back to its size.

Shapes: H and W rows and columns, h and w those of the coarse picture.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

Filter = Literal["nearest", "bilinear", "bicubic"]
_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


@cache
def area_weights(length: int, coarse: int) -> NDArray[np.float64]:
    """Return how much of each fine pixel lies in each coarse one, (coarse, length); every row sums to 1.

    Why not Pillow's box filter: it takes whole pixels by their centres, so a factor of 1.5 would average one and two
    pixels by turns.
    """
    factor = length / coarse
    starts = np.arange(coarse)[:, None] * factor
    fine = np.arange(length)[None, :]
    overlap: NDArray[np.float64] = np.minimum(starts + factor, fine + 1) - np.maximum(starts, fine)
    return np.clip(overlap, 0, None) / factor


def coarsened(pixels_HW3: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """Return the picture with pixels ``factor`` times as large, by area-weighted means; at least one pixel."""
    if factor == 1:
        return pixels_HW3
    height, width = pixels_HW3.shape[:2]
    return averaged(pixels_HW3, (max(1, round(width / factor)), max(1, round(height / factor))))


def averaged(pixels_HW3: NDArray[np.uint8], size_px: tuple[int, int]) -> NDArray[np.uint8]:
    """Return the picture at a smaller ``(width, height)``, each pixel the mean of the area that it covers."""
    rows = area_weights(pixels_HW3.shape[0], size_px[1])
    columns = area_weights(pixels_HW3.shape[1], size_px[0])
    coarse_hw3 = np.einsum("ih,hwc,jw->ijc", rows, pixels_HW3.astype(np.float64), columns, optimize=True)
    coarse: NDArray[np.uint8] = np.clip(np.rint(coarse_hw3), 0, 255).astype(np.uint8)
    return coarse


def resized(pixels_hw3: NDArray[np.uint8], size_px: tuple[int, int], by: Filter = "bicubic") -> NDArray[np.uint8]:
    """Return the picture at ``(width, height)``."""
    return np.asarray(Image.fromarray(pixels_hw3).resize(size_px, _FILTERS[by]))


def coarsened_at_size(pixels_HW3: NDArray[np.uint8], factor: float, by: Filter = "bicubic") -> NDArray[np.uint8]:
    """Return the picture made coarser and brought back to its size: the same pixels to compute, less to see."""
    if factor == 1:
        return pixels_HW3
    height, width = pixels_HW3.shape[:2]
    return resized(coarsened(pixels_HW3, factor), (width, height), by)
