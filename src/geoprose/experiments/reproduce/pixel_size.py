"""A picture as a sensor with larger or smaller pixels would give it, and the scene name that then holds.

The factor multiplies the ground that one pixel of the model's input covers: 2 and more average the picture's pixels and
bring it back to its size; 1/2 and less show a part of it, enlarged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.data.world.tiles import GRID
from geoprose.evaluation.diagnostics.coarsen import coarsened_at_size
from geoprose.experiments.reproduce.captioned import clear_label

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from geoprose.experiments.reproduce.captioned import CaptionedPicture


def seen_at(pixels_HW3: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """Return the picture with pixels ``factor`` times as large; smaller ones show the window of ``window_of``."""
    if factor >= 1:
        return coarsened_at_size(pixels_HW3, factor)
    height, width = pixels_HW3.shape[:2]
    start, stop = window_of(factor)
    return pixels_HW3[
        round(start * height) : max(round(stop * height), 1), round(start * width) : max(round(stop * width), 1)
    ]


def window_of(factor: float) -> tuple[float, float]:
    """Return where the shown part begins and ends along each side, as shares of the side.

    It lies on the grid of cells of the world's tiles, so that the land cover of the part is known: the middle for 1/2,
    the cell north-west of the middle for 1/4.
    """
    cells = max(1, round(GRID * min(factor, 1.0)))
    first = (GRID - cells) // 2
    return first / GRID, (first + cells) / GRID


def label_at(picture: CaptionedPicture, factor: float) -> str:
    """Return the scene's name at this pixel size; empty where it is not clear.

    A part of a world tile is named by its own land cover. Elsewhere the name of the whole is kept, which may not hold
    for a part.
    """
    if factor >= 1 or not picture.cells:
        return picture.label
    start, stop = (round(share * GRID) for share in window_of(factor))
    return clear_label(
        [picture.cells[row * GRID + column] for row in range(start, stop) for column in range(start, stop)]
    )
