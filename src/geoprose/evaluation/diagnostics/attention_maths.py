"""Figures of attention maps.

Shapes: L layers, V visual tokens, C cells of a grid of S x S, R permutations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Rectangle = tuple[float, float, float, float]


def normalised_entropy(weights_LV: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the entropy of each row as a share of the largest one, log V: 0 on one token, 1 spread evenly.

    Rows are brought to a sum of 1 first; a single token has an entropy of 0.
    """
    shares_LV = weights_LV / np.maximum(weights_LV.sum(-1, keepdims=True), 1e-30)
    if shares_LV.shape[-1] < 2:
        return np.zeros(shares_LV.shape[:-1])
    logs_LV = np.log(np.maximum(shares_LV, 1e-30))
    entropy: NDArray[np.float64] = -(shares_LV * logs_LV).sum(-1) / np.log(shares_LV.shape[-1])
    return entropy


def covered(
    cells: Sequence[Rectangle], boxes: Sequence[Sequence[float]], size_px: tuple[int, int]
) -> NDArray[np.float64]:
    """Return the share of each cell (C,) that lies in one of the boxes; what is outside the picture counts as outside.

    Boxes are ``x1 y1 x2 y2`` or polygons ``x1 y1 ... xn yn`` in pixels.
    """
    import shapely

    frame = shapely.box(0, 0, *size_px)
    shapes = [
        shapely.box(*box) if len(box) == 4 else shapely.Polygon(list(zip(box[0::2], box[1::2], strict=True)))
        for box in boxes
    ]
    region = shapely.intersection(shapely.union_all([shapely.make_valid(shape) for shape in shapes]), frame)
    squares = shapely.box(*np.array(cells, dtype=np.float64).T)
    inside: NDArray[np.float64] = shapely.area(shapely.intersection(squares, region)) / shapely.area(squares)
    return inside


def share_on(weights_LC: NDArray[np.float64], cover_C: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the part of the attention on cells that lies on the region, (L,): attention is even within a cell."""
    totals = np.maximum(weights_LC.sum(-1), 1e-30)
    share: NDArray[np.float64] = (weights_LC @ cover_C) / totals
    return share


def shifted_shares(
    weights_LC: NDArray[np.float64], cover_C: NDArray[np.float64], side: int, rng: np.random.Generator, count: int
) -> NDArray[np.float64]:
    """Return the share on the region when the map is moved at random over the picture, (R, L).

    The map is rolled over the edges of the grid, so its own shape stays and only its place is lost; what remains is
    what a map that does not know the region would put on it.

    Source:
        A permutation test over the group of cyclic shifts; Good, Permutation, Parametric and Bootstrap Tests of
        Hypotheses, 3rd ed., chapter 3.
    """
    maps_LSS = weights_LC.reshape(len(weights_LC), side, side)
    shifts = rng.integers(0, side, size=(count, 2))
    rolled = np.stack([np.roll(maps_LSS, (int(down), int(across)), axis=(1, 2)) for down, across in shifts])
    return share_on(rolled.reshape(count, len(weights_LC), side * side), cover_C)
