"""A rectangle of pixels of a scene, and the rectangle that encloses a region of the map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geoprose.core.errors import SceneError
from geoprose.geo.crs import LONLAT, convert, is_geographic, to_lonlat
from geoprose.geo.pixels import corners_map, map_to_pixel

if TYPE_CHECKING:
    from geoprose.core.types import GeoRef

_EDGE_POINTS = 33
_SNAP_PX = 1e-6


@dataclass(frozen=True)
class Window:
    """A rectangle of whole pixels.

    Attributes:
        col_off: First column.
        row_off: First row.
        width: Columns.
        height: Rows.
    """

    col_off: int
    row_off: int
    width: int
    height: int


def as_window(window: Window | Sequence[int], georef: GeoRef, name: str) -> Window:
    """Check a window given as `Window`, as four numbers, or as anything with the same four attributes (rasterio's).

    Raises:
        SceneError: If it is not whole pixels, is empty, or does not lie inside the scene.
    """
    values = window if isinstance(window, Sequence) else [getattr(window, k) for k in Window.__dataclass_fields__]
    if len(values) != 4 or any(float(value) != int(value) for value in values):
        raise SceneError(f"Window {tuple(values)} of {name} must be whole pixels: (col_off, row_off, width, height).")
    checked = Window(*(int(value) for value in values))
    is_inside = checked.col_off >= 0 and checked.row_off >= 0
    is_inside = is_inside and checked.col_off + checked.width <= georef.width_px
    is_inside = is_inside and checked.row_off + checked.height <= georef.height_px
    if not is_inside or checked.width < 1 or checked.height < 1:
        raise SceneError(
            f"Window (col_off={checked.col_off}, row_off={checked.row_off}, width={checked.width}, "
            f"height={checked.height}) does not lie inside {name}, which has {georef.width_px} x {georef.height_px} "
            "pixels. Give a window of at least one pixel inside it."
        )
    return checked


def region_window(bounds: tuple[float, float, float, float], crs: str, georef: GeoRef, name: str) -> Window:
    """Return the smallest window that encloses a region, clipped to the scene.

    Args:
        bounds: ``(min_x, min_y, max_x, max_y)``: longitudes and latitudes for EPSG:4326, else units of ``crs``; pixel
            coordinates when the scene has no CRS. In longitudes, ``min_x > max_x`` means across the antimeridian.
        crs: CRS of ``bounds``; not used when the scene has none.
        georef: Where the scene lies.
        name: File name, for messages.

    Raises:
        SceneError: If the region is empty or does not meet the scene; the message names the scene's extent.
    """
    min_x, min_y, max_x, max_y = (float(value) for value in bounds)
    crosses = georef.crs is not None and is_geographic(crs) and min_x > max_x
    if crosses:
        max_x += 360.0
    if not (math.isfinite(min_x + min_y + max_x + max_y) and min_x < max_x and min_y < max_y):
        raise SceneError(f"Region {bounds} is empty or not finite. Give min_x,min_y,max_x,max_y with min below max.")
    best: tuple[float, Window] | None = None
    for turn in (0.0, -360.0, 360.0) if georef.crs is not None and is_geographic(crs) else (0.0,):
        found = _clipped(_pixels((min_x + turn, min_y, max_x + turn, max_y), crs, georef), georef)
        if found is not None and (best is None or found.width * found.height > best[0]):
            best = (found.width * found.height, found)
    if best is None:
        raise SceneError(f"Region {bounds} does not meet {name}. {extent_text(georef)}")
    return best[1]


def extent_text(georef: GeoRef) -> str:
    """Say where a scene lies: pixels, native bounds, and longitudes and latitudes when it has a CRS."""
    if georef.crs is None:
        return f"The scene has no CRS; regions are pixels from 0,0 to {georef.width_px},{georef.height_px}."
    xs, ys = np.array(corners_map(georef)).T
    text = f"The scene spans {xs.min():.9g},{ys.min():.9g},{xs.max():.9g},{ys.max():.9g} in {georef.crs[:40]}"
    lons, lats = to_lonlat(xs, ys, georef.crs, allow_outside=True)
    if np.isfinite(lons).all() and np.isfinite(lats).all():
        text += f", about {lons.min():.6f},{lats.min():.6f},{lons.max():.6f},{lats.max():.6f} in longitude and latitude"
    return text + "."


def _pixels(bounds: tuple[float, float, float, float], crs: str, georef: GeoRef) -> np.ndarray:
    """Pixel coordinates of a grid over the region; shape (2, points), without those the scene's CRS cannot hold."""
    min_x, min_y, max_x, max_y = bounds
    # A grid, not only the outline: a polar scene may lie wholly inside the region, with its pole as the nearest point.
    xs, ys = (
        axis.ravel()
        for axis in np.meshgrid(np.linspace(min_x, max_x, _EDGE_POINTS), np.linspace(min_y, max_y, _EDGE_POINTS))
    )
    if georef.crs is None:
        return np.stack([xs, ys])
    map_x, map_y = (xs, ys) if crs == georef.crs else convert(xs, ys, crs, georef.crs)
    is_defined = np.isfinite(map_x) & np.isfinite(map_y)
    return np.stack(map_to_pixel(map_x[is_defined], map_y[is_defined], georef))


def _clipped(pixels: np.ndarray, georef: GeoRef) -> Window | None:
    if pixels.size == 0:
        return None
    (left, top), (right, bottom) = pixels.min(axis=1), pixels.max(axis=1)
    first_col, first_row = max(0, math.floor(left + _SNAP_PX)), max(0, math.floor(top + _SNAP_PX))
    end_col = min(georef.width_px, math.ceil(right - _SNAP_PX))
    end_row = min(georef.height_px, math.ceil(bottom - _SNAP_PX))
    if end_col <= first_col or end_row <= first_row:
        return None
    return Window(first_col, first_row, end_col - first_col, end_row - first_row)


__all__ = ["LONLAT", "Window", "as_window", "extent_text", "region_window"]
