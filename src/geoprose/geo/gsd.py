"""Ground sampling distance: how many metres one pixel spans."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

from geoprose.core.errors import GeoreferenceError
from geoprose.geo.crs import parse_crs
from geoprose.geo.pixels import pixel_to_map

if TYPE_CHECKING:
    from geoprose.core.types import GeoRef


def gsd_m(georef: GeoRef) -> tuple[float, float]:
    """Return the ground sampling distance at the chip's centre, metres per pixel.

    With the transform ``(a, b, c, d, e, f)``, one step along a row moves ``(a, d)`` on the map and one step down a
    column moves ``(b, e)``.

    - Projected CRS: ``gsd_x = u * hypot(a, d)`` and ``gsd_y = u * hypot(b, e)``, where ``u`` is the number of metres
      in one unit of the CRS. These are metres of the map: the scale factor of the projection (within 0.1 % for UTM,
      but ``1 / cos(latitude)`` for Web Mercator) is not taken out.
    - Geographic CRS: the geodesic length, on the ellipsoid of the CRS, between the two points half a pixel before and
      half a pixel after the centre, along the row for ``gsd_x`` and along the column for ``gsd_y``.

    Args:
        georef: Where the chip lies.

    Returns:
        ``(gsd_x_m, gsd_y_m)``, both positive.

    Raises:
        GeoreferenceError: If the chip has no CRS, or a CRS without horizontal axes (geocentric).

    Source:
        Karney (2013), "Algorithms for geodesics", as in pyproj.Geod.
    """
    if georef.crs is None:
        raise GeoreferenceError(
            "The chip has no CRS, so its GSD in metres is unknown. Assign one with `gdal_edit.py -a_srs EPSG:<code>`."
        )
    metres_per_unit = _metres_per_unit(georef.crs)
    if metres_per_unit is None:
        return _geodesic_step(georef, 1.0, 0.0), _geodesic_step(georef, 0.0, 1.0)
    a, b, _, d, e, _ = georef.transform
    return metres_per_unit * math.hypot(a, d), metres_per_unit * math.hypot(b, e)


@lru_cache(maxsize=256)
def _metres_per_unit(name: str) -> float | None:
    """Metres in one unit of a projected CRS; None for a geographic one. Cached: PROJ takes longer than a small read."""
    crs = parse_crs(name)
    if crs.is_geographic:
        return None
    if crs.is_geocentric or not crs.axis_info:
        raise GeoreferenceError(f"{name[:60]} has no horizontal axes: a pixel has no GSD. Use a projected CRS.")
    return float(crs.axis_info[0].unit_conversion_factor)


def _geodesic_step(georef: GeoRef, step_x: float, step_y: float) -> float:
    """Geodesic length in metres of one pixel step about the chip's centre."""
    crs = parse_crs(str(georef.crs))
    degrees_per_unit = math.degrees(crs.axis_info[0].unit_conversion_factor)  # 1 but for grads and radians
    centre_x, centre_y = georef.width_px / 2, georef.height_px / 2
    lonlats = []
    for sign in (-0.5, 0.5):
        lon, lat = pixel_to_map(centre_x + sign * step_x, centre_y + sign * step_y, georef)
        lonlats.append((lon * degrees_per_unit, min(90.0, max(-90.0, lat * degrees_per_unit))))
    (lon_0, lat_0), (lon_1, lat_1) = lonlats
    geod = crs.get_geod()
    if geod is None:
        raise GeoreferenceError(f"{str(georef.crs)[:60]} names no ellipsoid, so a pixel has no length in metres.")
    return float(geod.inv(lon_0, lat_0, lon_1, lat_1)[2])
