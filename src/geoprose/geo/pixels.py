"""Pixel to map and back, and the georeference of a window; exact for rotated, sheared and south-up transforms."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from geoprose.core.errors import GeoreferenceError
from geoprose.core.types import GeoRef

Coordinate = TypeVar("Coordinate", float, np.ndarray)


def pixel_to_map(x_px: Coordinate, y_px: Coordinate, georef: GeoRef) -> tuple[Coordinate, Coordinate]:
    """Convert pixel coordinates to map coordinates.

    Args:
        x_px: Column coordinate, a number or an array; edges, origin at the top-left corner of the chip.
        y_px: Row coordinate, downwards.
        georef: Where the chip lies.

    Returns:
        ``(x, y)`` in the units of ``georef.crs``, easting (or longitude) first.

    Source:
        GDAL raster data model, "Affine GeoTransform" (edges, not pixel centres).
    """
    a, b, c, d, e, f = georef.transform
    return a * x_px + b * y_px + c, d * x_px + e * y_px + f


def map_to_pixel(x: Coordinate, y: Coordinate, georef: GeoRef) -> tuple[Coordinate, Coordinate]:
    """Convert map coordinates to pixel coordinates; the inverse of `pixel_to_map`.

    Args:
        x: Easting or longitude in the units of ``georef.crs``, a number or an array.
        y: Northing or latitude.
        georef: Where the chip lies.

    Returns:
        ``(x_px, y_px)``; not clipped, so a point outside the chip is negative or beyond its size.

    Raises:
        GeoreferenceError: If the transform squeezes the plane onto a line and has no inverse.
    """
    a, b, c, d, e, f = georef.transform
    determinant = a * e - b * d
    if determinant == 0 or not np.isfinite(determinant):
        raise GeoreferenceError(
            f"The transform {georef.transform} cannot be inverted, so map coordinates have no pixel. "
            "Assign a valid transform, for instance with `gdal_edit.py -a_ullr`."
        )
    # Why not multiply by the inverse's own offset: subtracting the origin first keeps all digits of large eastings.
    dx, dy = x - c, y - f
    return (e * dx - b * dy) / determinant, (a * dy - d * dx) / determinant


def window_georef(  # noqa: PLR0913, PLR0917 - the window is four numbers; the call is fixed
    georef: GeoRef,
    col_off: float,
    row_off: float,
    width: float,
    height: float,
    scale_x: float = 1.0,
    scale_y: float = 1.0,
) -> GeoRef:
    """Return the georeference of a window, then decimated.

    Args:
        georef: Georeference of the whole scene or chip.
        col_off: First column of the window, pixels of ``georef``.
        row_off: First row of the window.
        width: Columns of the window before decimation.
        height: Rows of the window before decimation.
        scale_x: Source pixels per output pixel along a row; 2 halves the width.
        scale_y: Source pixels per output pixel along a column.

    Returns:
        GeoRef of ``round(width / scale_x)`` by ``round(height / scale_y)`` pixels. Output pixel ``(u, v)`` is source
        pixel ``(col_off + scale_x * u, row_off + scale_y * v)``.
    """
    a, b, _, d, e, _ = georef.transform
    origin_x, origin_y = pixel_to_map(float(col_off), float(row_off), georef)
    return GeoRef(
        transform=(a * scale_x, b * scale_y, origin_x, d * scale_x, e * scale_y, origin_y),
        crs=georef.crs,
        width_px=max(1, round(width / scale_x)),
        height_px=max(1, round(height / scale_y)),
    )


def corners_map(georef: GeoRef) -> list[tuple[float, float]]:
    """Return the four corners of the chip in map coordinates: top-left, top-right, bottom-right, bottom-left."""
    width, height = float(georef.width_px), float(georef.height_px)
    return [pixel_to_map(x, y, georef) for x, y in ((0.0, 0.0), (width, 0.0), (width, height), (0.0, height))]
