"""Coordinate reference systems through pyproj: always longitude (easting) first, no network."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from geoprose.core.errors import GeoreferenceError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from pyproj import CRS, Transformer

LONLAT = "EPSG:4326"
"""WGS 84, the CRS of GeoJSON; used longitude first."""


@lru_cache(maxsize=256)
def parse_crs(crs: str) -> CRS:
    """Return the pyproj CRS of an authority string or WKT.

    Raises:
        GeoreferenceError: If PROJ does not know it.
    """
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        return CRS.from_user_input(crs)
    except CRSError as error:
        raise GeoreferenceError(
            f"{crs[:80]!r} is not a coordinate reference system that PROJ knows: {str(error)[:120]}. "
            "Give an authority code such as 'EPSG:32633', or WKT."
        ) from error


def is_geographic(crs: str) -> bool:
    """Return whether coordinates of ``crs`` are angles (longitude and latitude)."""
    return bool(parse_crs(crs).is_geographic)


def to_lonlat(xs: ArrayLike, ys: ArrayLike, crs: str, allow_outside: bool = False) -> tuple[Any, Any]:
    """Convert map coordinates to WGS 84 longitude and latitude.

    Args:
        xs: Eastings or longitudes in the units of ``crs``; a number or an array.
        ys: Northings or latitudes, as many as ``xs``.
        crs: Authority string or WKT.
        allow_outside: Return infinity where the projection is not defined, instead of raising.

    Returns:
        ``(lons, lats)`` in degrees, float64 arrays of the shape of ``xs``; longitudes may lie outside -180 to 180
        when those of ``xs`` do.

    Raises:
        GeoreferenceError: If ``crs`` is unknown, or a point lies where the projection is not defined.
    """
    return _convert(crs, LONLAT, (xs, ys), allow_outside)


def from_lonlat(lons: ArrayLike, lats: ArrayLike, crs: str, allow_outside: bool = False) -> tuple[Any, Any]:
    """Convert WGS 84 longitude and latitude to map coordinates; the inverse of `to_lonlat`.

    Args:
        lons: Longitudes, degrees; a number or an array.
        lats: Latitudes, degrees.
        crs: Authority string or WKT of the result.
        allow_outside: Return infinity where the projection is not defined, instead of raising.

    Returns:
        ``(xs, ys)`` in the units of ``crs``, float64 arrays.

    Raises:
        GeoreferenceError: If ``crs`` is unknown, or a point lies where the projection is not defined.
    """
    return _convert(LONLAT, crs, (lons, lats), allow_outside)


def convert(xs: ArrayLike, ys: ArrayLike, source: str, target: str) -> tuple[Any, Any]:
    """Convert coordinates between two CRSs, easting or longitude first; infinity where undefined.

    Raises:
        GeoreferenceError: If one of the CRSs is unknown.
    """
    return _convert(source, target, (xs, ys), allow_outside=True)


@lru_cache(maxsize=256)
def _transformer(source: str, target: str) -> Transformer:
    from pyproj import Transformer

    return Transformer.from_crs(parse_crs(source), parse_crs(target), always_xy=True)


def _convert(source: str, target: str, points: tuple[ArrayLike, ArrayLike], allow_outside: bool) -> tuple[Any, Any]:
    xs, ys = (np.asarray(values, dtype=np.float64) for values in points)
    if source == target:
        return xs.copy(), ys.copy()
    from pyproj.exceptions import ProjError

    try:
        new_xs, new_ys = (np.asarray(values) for values in _transformer(source, target).transform(xs, ys))
    except ProjError as error:
        raise GeoreferenceError(f"PROJ cannot convert {source[:60]} to {target[:60]}: {error}.") from error
    if not allow_outside and not (np.isfinite(new_xs).all() and np.isfinite(new_ys).all()):
        bad = int(np.argmin(np.isfinite(np.ravel(new_xs)) & np.isfinite(np.ravel(new_ys))))
        raise GeoreferenceError(
            f"Point ({np.ravel(xs)[bad]}, {np.ravel(ys)[bad]}) of {source[:60]} has no place in {target[:60]}: it lies "
            "outside the area where the projection is defined. Check the scene's transform and CRS."
        )
    return new_xs, new_ys
