"""Decode part of one dataset (the picture or one of its overviews) in chunks of whole blocks."""

# ruff: noqa: N806 - arrays carry their shape as a suffix

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from geoprose.scenes.limits import Deadline, ReadLimits, refuse_above
from geoprose.scenes.resample import AreaAverage, nearest_indices
from geoprose.scenes.safe_gdal import rasterio
from geoprose.scenes.validity import Validity, fitting
from geoprose.scenes.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

Resampling = Literal["area", "nearest"]
Decoded = tuple[NDArray[Any], NDArray[np.bool_]]

_CHUNK_BYTES = 32 << 20
_CHUNK_PX = 2 << 20


@dataclass(frozen=True)
class Layer:
    """The full picture (scale 1) or one overview of it.

    Attributes:
        dataset: The open dataset.
        name: File name, for messages.
        scale_x: Columns of the scene per column of the layer.
        scale_y: Rows of the scene per row of the layer.
        validity: How the file says which pixels hold data.
    """

    dataset: Any
    name: str
    scale_x: float
    scale_y: float
    validity: Validity

    @cached_property
    def block_shape(self) -> tuple[int, int]:
        """Rows and columns of a tile or strip."""
        rows, columns = self.dataset.block_shapes[0]
        return min(int(rows), self.dataset.height), min(int(columns), self.dataset.width)

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """Data type of the values in memory."""
        name = self.dataset.dtypes[0]
        return np.dtype("complex64" if name == "complex_int16" else name)

    @cached_property
    def is_band_interleaved(self) -> bool:
        """Whether each block holds one band only."""
        return bool(self.dataset.count == 1 or self.dataset.interleaving != rasterio.enums.Interleaving.pixel)


@dataclass(frozen=True)
class Request:
    """What to decode.

    Attributes:
        window: Pixels of the scene.
        numbers: 1-based band numbers.
        width_px: Columns of the result.
        height_px: Rows of the result.
        resampling: How values are combined when the result is not in the scene's own pixels.
    """

    window: Window
    numbers: list[int]
    width_px: int
    height_px: int
    resampling: Resampling

    def edges(self, layer: Layer) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Row and column edges of the result's cells, in pixels of the layer."""
        window = self.window
        rows = window.row_off + np.linspace(0.0, window.height, self.height_px + 1)
        columns = window.col_off + np.linspace(0.0, window.width, self.width_px + 1)
        edges_y = np.minimum(rows / layer.scale_y, layer.dataset.height)
        return edges_y, np.minimum(columns / layer.scale_x, layer.dataset.width)


def decode(layer: Layer, request: Request, limits: ReadLimits) -> Decoded:
    """Decode what is asked for: pixels (bands, rows, columns) and where they are valid.

    Raises:
        SceneError: If a limit would be exceeded (before decoding) or the time is over (between chunks).
    """
    deadline = Deadline(layer.name, limits.max_seconds)
    is_native = layer.scale_x == layer.scale_y == 1.0
    if is_native and (request.width_px, request.height_px) == (request.window.width, request.window.height):
        _check_cost(layer, request, request.window, limits)
        return _decode_native(layer, request, deadline)
    _check_cost(layer, request, _covering(*request.edges(layer), layer), limits)
    if request.resampling == "nearest":
        return _decode_nearest(layer, request, deadline)
    return _decode_area(layer, request, deadline)


def _covering(edges_y: NDArray[np.float64], edges_x: NDArray[np.float64], layer: Layer) -> Window:
    """Whole pixels of the layer that the edges span."""
    # Contract: the margin keeps rounding in the scale from pulling in one more row of blocks.
    top, left = max(0, math.floor(edges_y[0] + 1e-9)), max(0, math.floor(edges_x[0] + 1e-9))
    bottom = min(layer.dataset.height, math.ceil(edges_y[-1] - 1e-9))
    right = min(layer.dataset.width, math.ceil(edges_x[-1] - 1e-9))
    top, left = min(top, layer.dataset.height - 1), min(left, layer.dataset.width - 1)
    return Window(left, top, max(1, right - left), max(1, bottom - top))


def _check_cost(layer: Layer, request: Request, span: Window, limits: ReadLimits) -> None:
    rows, columns = layer.block_shape
    blocks_down = (span.row_off + span.height - 1) // rows - span.row_off // rows + 1
    blocks_across = (span.col_off + span.width - 1) // columns - span.col_off // columns + 1
    bands = len(request.numbers) if layer.is_band_interleaved else 1
    values_per_block = rows * columns * (1 if layer.is_band_interleaved else layer.dataset.count)
    num_blocks = blocks_down * blocks_across * bands
    advice = "Read a smaller window, build overviews (`gdaladdo`), or raise {} in ReadLimits if you trust the file."
    what = f"This read of {layer.name} touches a number of blocks of"
    refuse_above(num_blocks, limits.max_read_blocks, what, advice.format("max_read_blocks"))
    num_bytes = num_blocks * values_per_block * layer.dtype.itemsize
    what = f"This read of {layer.name} decodes a number of bytes of"
    refuse_above(num_bytes, limits.max_read_bytes, what, advice.format("max_read_bytes"))
    num_bytes = request.width_px * request.height_px * len(request.numbers) * layer.dtype.itemsize
    what = f"This read of {layer.name} returns a number of bytes of"
    refuse_above(num_bytes, limits.max_read_bytes, what, advice.format("max_read_bytes"))


def _chunks(layer: Layer, span: Window, num_bands: int) -> Iterator[Window]:
    """Cut the span along block edges into chunks of bounded memory, at least one block each."""
    block_rows, block_columns = layer.block_shape
    max_px = min(_CHUNK_PX, _CHUNK_BYTES // (layer.dtype.itemsize * num_bands))
    columns = _step(span.width, block_columns, max(1, max_px // block_rows))
    rows = _step(span.height, block_rows, max(1, max_px // min(columns, span.width)))
    for top, bottom in _cuts(span.row_off, span.height, rows):
        for left, right in _cuts(span.col_off, span.width, columns):
            yield Window(left, top, right - left, bottom - top)


def _step(length: int, block: int, wanted: int) -> int:
    return max(block, wanted // block * block) if wanted < length else max(block, -(-length // block) * block)


def _cuts(start: int, length: int, step: int) -> Iterator[tuple[int, int]]:
    """Yield runs of at most ``step`` from ``start``, cut at multiples of ``step``."""
    position, end = start, start + length
    while position < end:
        following = min(end, (position // step + 1) * step)
        yield position, following
        position = following


def _read_chunk(layer: Layer, numbers: list[int], chunk: Window) -> Decoded:
    window = rasterio.windows.Window(chunk.col_off, chunk.row_off, chunk.width, chunk.height)
    pixels_CHW = layer.dataset.read(numbers, window=window)
    return pixels_CHW, layer.validity.mask(layer.dataset, window, numbers, pixels_CHW)


def _decode_native(layer: Layer, request: Request, deadline: Deadline) -> Decoded:
    window = request.window
    chunks = list(_chunks(layer, window, len(request.numbers)))
    if len(chunks) == 1:
        return _read_chunk(layer, request.numbers, window)
    pixels_CHW = np.empty((len(request.numbers), window.height, window.width), dtype=layer.dtype)
    is_valid_HW = np.empty((window.height, window.width), dtype=np.bool_)
    for chunk in chunks:
        deadline.check()
        rows = slice(chunk.row_off - window.row_off, chunk.row_off - window.row_off + chunk.height)
        columns = slice(chunk.col_off - window.col_off, chunk.col_off - window.col_off + chunk.width)
        pixels_CHW[:, rows, columns], is_valid_HW[rows, columns] = _read_chunk(layer, request.numbers, chunk)
    return pixels_CHW, is_valid_HW


def _decode_area(layer: Layer, request: Request, deadline: Deadline) -> Decoded:
    edges_y, edges_x = request.edges(layer)
    is_complex = np.issubdtype(layer.dtype, np.complexfloating)
    average = AreaAverage(edges_y, edges_x, len(request.numbers), is_complex)
    for chunk in _chunks(layer, _covering(edges_y, edges_x, layer), len(request.numbers)):
        deadline.check()
        average.add(*_read_chunk(layer, request.numbers, chunk), offset=(chunk.row_off, chunk.col_off))
    return average.result(layer.dtype, _fill(layer, request))


def _decode_nearest(layer: Layer, request: Request, deadline: Deadline) -> Decoded:
    edges_y, edges_x = request.edges(layer)
    rows, columns = nearest_indices(edges_y, layer.dataset.height), nearest_indices(edges_x, layer.dataset.width)
    pixels_CHW = np.empty((len(request.numbers), len(rows), len(columns)), dtype=layer.dtype)
    is_valid_HW = np.empty((len(rows), len(columns)), dtype=np.bool_)
    span = Window(int(columns[0]), int(rows[0]), int(columns[-1] - columns[0]) + 1, int(rows[-1] - rows[0]) + 1)
    for chunk in _chunks(layer, span, len(request.numbers)):
        deadline.check()
        down = slice(*np.searchsorted(rows, (chunk.row_off, chunk.row_off + chunk.height)))
        across = slice(*np.searchsorted(columns, (chunk.col_off, chunk.col_off + chunk.width)))
        if down.start == down.stop or across.start == across.stop:
            continue
        part_CHW, valid_HW = _read_chunk(layer, request.numbers, chunk)
        picked = np.ix_(rows[down] - chunk.row_off, columns[across] - chunk.col_off)
        pixels_CHW[:, down, across], is_valid_HW[down, across] = part_CHW[:, picked[0], picked[1]], valid_HW[picked]
    return pixels_CHW, is_valid_HW


def _fill(layer: Layer, request: Request) -> float:
    """Value of empty cells: the first band's nodata value where the data type holds it, else 0."""
    value = fitting(layer.validity.nodata[request.numbers[0] - 1], layer.dtype)
    return 0.0 if value is None else value
