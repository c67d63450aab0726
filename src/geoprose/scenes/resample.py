"""Exact area averages of valid pixels, accumulated block row by block row so that memory stays flat."""

# C bands, H rows, W columns of the source; h rows, w columns of the result

# ruff: noqa: N803, N806 - arrays carry their shape as a suffix

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CELLS_AT_ONCE = 16


class AreaAverage:
    """Average source pixels over output cells, counting only valid ones, each by the share of it inside the cell.

    Args:
        edges_y: ``h + 1`` increasing row coordinates of the cell edges, in source pixels.
        edges_x: ``w + 1`` column coordinates.
        num_bands: C.
        is_complex: Whether the values are complex.
    """

    def __init__(
        self, edges_y: NDArray[np.float64], edges_x: NDArray[np.float64], num_bands: int, is_complex: bool = False
    ) -> None:
        self._edges_y, self._edges_x = edges_y, edges_x
        shape = (len(edges_y) - 1, len(edges_x) - 1)
        self._sum_Chw = np.zeros((num_bands, *shape), dtype=np.complex128 if is_complex else np.float64)
        self._weight_hw = np.zeros(shape)

    def add(self, pixels_CHW: NDArray[Any], is_valid_HW: NDArray[np.bool_], offset: tuple[int, int]) -> None:
        """Add a block of source pixels; each source pixel must be added once, in any order.

        Args:
            pixels_CHW: Values of the block.
            is_valid_HW: Where they hold data.
            offset: ``(row, column)`` of the block's first pixel.
        """
        cells_y, edges_y = _cells_of(self._edges_y, offset[0], pixels_CHW.shape[1])
        cells_x, edges_x = _cells_of(self._edges_x, offset[1], pixels_CHW.shape[2])
        if cells_y.start == cells_y.stop or cells_x.start == cells_x.stop:
            return
        is_all_valid = bool(is_valid_HW.all())
        if is_all_valid:
            self._weight_hw[cells_y, cells_x] += np.diff(edges_y)[:, None] * np.diff(edges_x)[None, :]
        else:
            weight_hW = _sum_between(is_valid_HW.astype(np.float64), edges_y)
            self._weight_hw[cells_y, cells_x] += _sum_between(weight_hW.T, edges_x).T
        for band, pixels_HW in enumerate(pixels_CHW):
            values_HW = (pixels_HW if is_all_valid else np.where(is_valid_HW, pixels_HW, 0)).astype(self._sum_Chw.dtype)
            rows_hW = _sum_between(values_HW, edges_y)
            self._sum_Chw[band, cells_y, cells_x] += _sum_between(rows_hW.T, edges_x).T

    def result(self, dtype: np.dtype[Any], fill: float) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return the averages and where any valid pixel contributed.

        Args:
            dtype: Data type of the result; integers are rounded to nearest.
            fill: Value of cells without a valid pixel.
        """
        is_valid_hw = self._weight_hw > 1e-9
        mean_Chw = self._sum_Chw / np.where(is_valid_hw, self._weight_hw, 1.0)
        if np.issubdtype(dtype, np.integer):
            limits = np.iinfo(dtype)
            mean_Chw = np.clip(np.rint(mean_Chw), limits.min, limits.max)
        pixels_Chw = mean_Chw.astype(dtype)
        pixels_Chw[:, ~is_valid_hw] = fill
        return pixels_Chw, is_valid_hw


def _cells_of(edges: NDArray[np.float64], start: int, length: int) -> tuple[slice, NDArray[np.float64]]:
    """Return the cells that a run of source pixels touches, and their edges relative to the run, clipped to it."""
    clipped = np.clip(edges - start, 0, length)
    touched = np.flatnonzero(clipped[1:] > clipped[:-1])
    if not touched.size:
        return slice(0, 0), clipped[:1]
    cells = slice(int(touched[0]), int(touched[-1]) + 1)
    return cells, clipped[cells.start : cells.stop + 1]


def _sum_between(values_NM: NDArray[Any], edges: NDArray[np.float64]) -> NDArray[Any]:
    """Sum rows between consecutive edges, the rows at the edges by their share; shape (len(edges) - 1, M).

    A product with the matrix of shares, a few cells at a time because only a narrow band of it is not zero.
    """
    sums_nM = np.empty((len(edges) - 1, values_NM.shape[1]), dtype=values_NM.dtype)
    for start in range(0, len(sums_nM), _CELLS_AT_ONCE):
        part = edges[start : start + _CELLS_AT_ONCE + 1]
        first, last = int(np.floor(part[0])), int(np.ceil(part[-1]))
        rows = np.arange(first, last)
        shares = np.minimum(part[1:, None], rows + 1) - np.maximum(part[:-1, None], rows)
        sums_nM[start : start + len(part) - 1] = np.maximum(shares, 0.0) @ values_NM[first:last]
    return sums_nM


def nearest_indices(edges: NDArray[np.float64], size: int) -> NDArray[np.intp]:
    """Return the source row (or column) that holds the centre of each output cell."""
    centres = (edges[:-1] + edges[1:]) / 2
    return np.clip(np.floor(centres), 0, size - 1).astype(np.intp)
