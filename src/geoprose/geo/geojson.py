"""Polygons on the map as GeoJSON in longitude and latitude (RFC 7946), across the antimeridian and over the poles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from geoprose.core.errors import GeoreferenceError
from geoprose.geo.crs import to_lonlat

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_LON_STEP_DEG = 60.0
"""Neighbouring vertices never lie further apart in longitude, so that the way round the globe is unambiguous."""
MAX_DEVIATION = 1e-4
"""A drawn edge strays from the true one by at most this share of the ring's longest edge."""
MIN_DEVIATION_DEG = 1e-9
MAX_VERTICES = 4096
MAX_ROUNDS = 32
SHRINK = 1e-6


def polygon_to_lonlat(
    corners_map: Sequence[tuple[float, float]], crs: str, densify: int | None = None
) -> dict[str, Any]:
    """Convert a ring on the map to a GeoJSON geometry in WGS 84 longitude and latitude.

    Every given corner is kept exactly. Straight edges of the map are curves in longitude and latitude, so vertices
    are added between the corners: where needed to stay within 0.01 % of the longest edge, or ``densify`` segments
    for each edge. A ring that crosses the antimeridian is cut there (MultiPolygon); one that goes round a pole is
    closed along the antimeridian over that pole.

    Args:
        corners_map: At least three corners ``(x, y)`` in the units of ``crs``, in order; closing the ring is optional.
        crs: Authority string or WKT of the corners.
        densify: Segments per edge; None adds vertices only where an edge bends.

    Returns:
        ``{"type": "Polygon" or "MultiPolygon", "coordinates": ...}``; exterior rings counter-clockwise.

    Raises:
        GeoreferenceError: If there are fewer than three different corners, they are not finite, a corner lies where the
            projection is not defined, or the ring crosses itself over a pole or the antimeridian.

    Source:
        RFC 7946, sections 3.1.6 and 3.1.9; the cut is made by the ``antimeridian`` library.
    """
    ring = _closed_ring(corners_map)
    geometry = _geometry(ring, crs, densify)
    if geometry is None:  # an edge runs through a pole, where longitude is undefined: leave the pole just outside
        centre = ring[:-1].mean(axis=0)
        geometry = _geometry(centre + (ring - centre) * (1 - SHRINK), crs, densify)
    if geometry is None:
        raise GeoreferenceError(
            f"The ring {np.asarray(corners_map).tolist()} of {crs[:60]} crosses itself, so it bounds no area. Give its "
            "corners in order around the area."
        )
    return geometry


def _geometry(ring: np.ndarray, crs: str, densify: int | None) -> dict[str, Any] | None:
    points = _densified(ring, crs, densify)
    lons = np.unwrap(points[:, 0], period=360.0)
    lats = points[:, 1]
    lons -= 360.0 * np.round((lons.min() + lons.max()) / 720.0)
    if abs(lons[-1] - lons[0]) < 180.0 and lons.min() >= -180.0 and lons.max() <= 180.0:
        drawn = np.stack([lons, lats], axis=1)
        drawn[-1] = drawn[0]
        return {"type": "Polygon", "coordinates": [(drawn if _is_counter_clockwise(drawn) else drawn[::-1]).tolist()]}
    return _cut(lons, lats)


def _closed_ring(corners_map: Sequence[tuple[float, float]]) -> np.ndarray:
    ring = np.asarray(corners_map, dtype=np.float64).reshape(-1, 2)
    if len(ring) and (ring[0] == ring[-1]).all():
        ring = ring[:-1]
    if len(np.unique(ring, axis=0)) < 3 or not np.isfinite(ring).all():
        raise GeoreferenceError(
            f"A polygon needs at least three different finite corners; got {np.asarray(corners_map).tolist()}."
        )
    return np.concatenate([ring, ring[:1]])


def _densified(ring: np.ndarray, crs: str, densify: int | None) -> np.ndarray:
    """Longitudes and latitudes along the ring; shape (vertices, 2), closed."""
    if densify is not None:
        steps = np.linspace(0.0, 1.0, max(1, densify), endpoint=False)[None, :, None]
        between = ring[:-1, None] + steps * (ring[1:] - ring[:-1])[:, None]
        ring = np.concatenate([between.reshape(-1, 2), ring[-1:]])
    lonlat = np.stack(to_lonlat(ring[:, 0], ring[:, 1], crs), axis=1)
    tolerance_deg = np.inf if densify is not None else max(MAX_DEVIATION * _longest_edge_deg(lonlat), MIN_DEVIATION_DEG)
    for _ in range(MAX_ROUNDS):
        middle = (ring[1:] + ring[:-1]) / 2
        middle_lonlat = np.stack(to_lonlat(middle[:, 0], middle[:, 1], crs), axis=1)
        is_split = _needs_split(lonlat, middle_lonlat, tolerance_deg)
        if not is_split.any() or len(ring) > MAX_VERTICES:
            break
        places = np.flatnonzero(is_split) + 1
        ring = np.insert(ring, places, middle[is_split], axis=0)
        lonlat = np.insert(lonlat, places, middle_lonlat[is_split], axis=0)
    return lonlat


def _needs_split(lonlat: np.ndarray, middle: np.ndarray, tolerance_deg: float) -> np.ndarray:
    step = lonlat[1:] - lonlat[:-1]
    step[:, 0] = _wrapped(step[:, 0])
    stray_lon = _wrapped(middle[:, 0] - lonlat[:-1, 0]) - step[:, 0] / 2
    stray_lat = middle[:, 1] - lonlat[:-1, 1] - step[:, 1] / 2
    stray = np.hypot(stray_lon * np.cos(np.radians(middle[:, 1])), stray_lat)
    return np.asarray((np.abs(step[:, 0]) > MAX_LON_STEP_DEG) | (stray > tolerance_deg))


def _longest_edge_deg(lonlat: np.ndarray) -> float:
    lon, lat = np.radians(lonlat).T
    points = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    return float(np.degrees(np.linalg.norm(np.diff(points, axis=0), axis=1).max()))


def _wrapped(degrees: np.ndarray) -> np.ndarray:
    """Differences of longitude brought to -180 to 180; a full turn of 360 stays, it is an edge round the globe."""
    return np.where(np.abs(degrees) == 360.0, degrees, (degrees + 180.0) % 360.0 - 180.0)


def _is_counter_clockwise(ring: np.ndarray) -> bool:
    x, y = (ring - ring[0]).T  # relative to the first vertex: areas of small boxes keep their sign
    return float(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])) >= 0


def _cut(lons: np.ndarray, lats: np.ndarray) -> dict[str, Any] | None:
    """Cut an unwrapped ring at the antimeridian; close it over a pole when it goes once round the globe.

    None when the result is no valid polygon.
    """
    import antimeridian
    import shapely
    from shapely.geometry import MultiPolygon, Polygon
    from shapely.geometry.polygon import orient

    turns = lons[-1] - lons[0]
    wrapped = (lons + 180.0) % 360.0 - 180.0
    ring = np.stack([wrapped, lats], axis=1)
    ring[-1] = ring[0]  # equal to the last digit, or the library takes the ring for an open line
    is_polar = abs(turns) > 180.0
    if not is_polar:
        ring = ring if _is_counter_clockwise(np.stack([lons, lats], axis=1)) else ring[::-1]
    is_north = lats[np.argmax(np.abs(lats))] > 0
    # Interior on the left: eastwards round the north pole, westwards round the south pole.
    if is_polar and (turns > 0) != is_north:
        ring = ring[::-1]
    fixed = antimeridian.fix_polygon(
        Polygon(ring),
        force_north_pole=bool(is_polar and is_north),
        force_south_pole=bool(is_polar and not is_north),
        fix_winding=False,
        great_circle=False,
    )
    if isinstance(fixed, MultiPolygon) and not fixed.is_valid:
        fixed = shapely.union_all(fixed.geoms)  # a full turn comes back as two halves that share the Greenwich meridian
    if not fixed.is_valid:
        return None
    parts = [orient(part) for part in (fixed.geoms if isinstance(fixed, MultiPolygon) else [fixed])]
    rings = [[[[float(x), float(y)] for x, y in part.exterior.coords]] for part in parts]
    if len(rings) == 1:
        return {"type": "Polygon", "coordinates": rings[0]}
    return {"type": "MultiPolygon", "coordinates": rings}
