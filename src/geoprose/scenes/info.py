"""What ``geoprose info`` shows: a scene's facts as JSON values, and as tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Group
from rich.table import Table

from geoprose.core.errors import GeoreferenceError
from geoprose.geo.geojson import polygon_to_lonlat
from geoprose.geo.pixels import corners_map
from geoprose.scenes.open import SceneFile, open_scene
from geoprose.scenes.safe_gdal import gdal_options

if TYPE_CHECKING:
    import os

    from geoprose.core.types import GeoRef, JsonValue


def describe_scene(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Describe a scene without decoding any pixel.

    Returns:
        JSON values only: ``path, driver, bytes, width_px, height_px, bands [{number, name, dtype, nodata}], crs,
        transform, gsd_m, bounds {native, lonlat}, footprint`` (GeoJSON geometry in longitude and latitude),
        ``overviews [[width, height]], block_px, interleave, compression, mask, has_palette, notes``. What the scene
        does not have is null.

    Raises:
        SceneError: If the scene cannot be opened.
    """
    with open_scene(path) as scene:
        notes: list[str] = []
        footprint = _footprint(scene.georef, notes)
        return {
            "path": str(scene.path),
            "driver": scene.driver,
            "bytes": scene.path.stat().st_size,
            "width_px": scene.width_px,
            "height_px": scene.height_px,
            "bands": _bands(scene),
            "crs": scene.georef.crs,
            "transform": list(scene.georef.transform),
            "gsd_m": list(scene.gsd_m) if scene.gsd_m else None,
            "bounds": {"native": _bounds(scene.georef), "lonlat": _lonlat_bounds(footprint)},
            "footprint": footprint,
            **_storage(scene),
            "mask": scene.validity.kind,
            "has_palette": scene.palette_NC is not None,
            "notes": notes,
        }


def scene_table(facts: dict[str, Any]) -> Group:
    """Lay the facts of `describe_scene` out as two tables: the scene, and its bands."""
    summary = Table(show_header=False, box=None, pad_edge=False)
    summary.add_column(style="bold")
    summary.add_column(overflow="fold")
    for label, text in _summary_rows(facts):
        summary.add_row(label, text)
    bands = Table("band", "name", "type", "nodata", box=None, pad_edge=False)
    for band in facts["bands"]:
        nodata = "-" if band["nodata"] is None else str(band["nodata"])
        bands.add_row(str(band["number"]), str(band["name"]), str(band["dtype"]), nodata)
    return Group(summary, "", bands)


def _summary_rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    block_width, block_height = facts["block_px"]
    overviews = ", ".join(f"{width} x {height}" for width, height in facts["overviews"]) or "none"
    gsd = " x ".join(f"{value:.6g} m" for value in facts["gsd_m"]) if facts["gsd_m"] else "unknown (no CRS)"
    native = ", ".join(f"{value:.10g}" for value in facts["bounds"]["native"])
    lonlat = facts["bounds"]["lonlat"]
    rows = [
        ("scene", facts["path"]),
        ("format", f"{facts['driver']}, {facts['compression'] or 'no'} compression, {facts['bytes']:,} bytes"),
        ("size", f"{facts['width_px']} x {facts['height_px']} px, {len(facts['bands'])} bands"),
        ("CRS", _short_crs(facts["crs"])),
        ("GSD", gsd),
        ("bounds", native if facts["crs"] else "pixels only"),
        ("lon/lat", ", ".join(f"{value:.6f}" for value in lonlat) if lonlat else "unknown"),
        ("blocks", f"{block_width} x {block_height} px, {facts['interleave']} interleaved"),
        ("overviews", overviews),
        ("no data by", facts["mask"]),
    ]
    return rows + [("note", note) for note in facts["notes"]]


def _short_crs(crs: str | None) -> str:
    if crs is None:
        return "none: answers stay in pixels"
    return crs if len(crs) <= 60 else f"{crs[:57]}..."


def _bands(scene: SceneFile) -> list[dict[str, JsonValue]]:
    return [
        {"number": number, "name": name, "dtype": scene.dtype, "nodata": _json_number(nodata)}
        for number, (name, nodata) in enumerate(zip(scene.bands, scene.validity.nodata, strict=True), start=1)
    ]


def _json_number(value: float | None) -> JsonValue:
    """NaN and infinity are no JSON numbers, so they become words."""
    return value if value is None or np.isfinite(value) else str(value)


def _storage(scene: SceneFile) -> dict[str, Any]:
    layer = scene.full
    rows, columns = layer.block_shape
    with gdal_options():
        compression = layer.dataset.compression
        overviews = [scene.overview(level).dataset for level in range(scene.num_overviews)]
    return {
        "overviews": [[overview.width, overview.height] for overview in overviews],
        "block_px": [columns, rows],
        "interleave": "band" if layer.is_band_interleaved else "pixel",
        "compression": compression.value.lower() if compression is not None else None,
    }


def _bounds(georef: GeoRef) -> list[float]:
    xs, ys = np.array(corners_map(georef)).T
    return [float(xs.min()), float(ys.min()), float(xs.max()), float(ys.max())]


def _footprint(georef: GeoRef, notes: list[str]) -> dict[str, Any] | None:
    if georef.crs is None:
        notes.append("No CRS: answers are given in pixels. Assign one with `gdal_edit.py -a_srs EPSG:<code>`.")
        return None
    try:
        return polygon_to_lonlat(corners_map(georef), georef.crs)
    except GeoreferenceError as error:
        notes.append(str(error))
        return None


def _lonlat_bounds(footprint: dict[str, Any] | None) -> list[float] | None:
    """Bounding box as in RFC 7946, section 5.2: west is greater than east across the antimeridian."""
    if footprint is None:
        return None
    polygons = footprint["coordinates"] if footprint["type"] == "MultiPolygon" else [footprint["coordinates"]]
    rings = [np.array(polygon[0]) for polygon in polygons]
    points = np.concatenate(rings)
    south, north = float(points[:, 1].min()), float(points[:, 1].max())
    west, east = float(points[:, 0].min()), float(points[:, 0].max())
    starts = [float(ring[:, 0].min()) for ring in rings if ring[:, 0].max() >= 180.0]
    ends = [float(ring[:, 0].max()) for ring in rings if ring[:, 0].min() <= -180.0]
    if len(rings) > 1 and starts and ends and min(starts) > max(ends):
        west, east = min(starts), max(ends)
    return [west, south, east, north]
