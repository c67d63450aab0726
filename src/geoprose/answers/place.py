"""Place an answer on the map: boxes in pixels become GeoJSON polygons in longitude and latitude."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoprose.answers.corners import box_corners
from geoprose.core.errors import GeoreferenceError
from geoprose.core.files import write_json
from geoprose.geo.crs import to_lonlat
from geoprose.geo.geojson import polygon_to_lonlat
from geoprose.geo.pixels import corners_map, pixel_to_map

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.core.types import Answer, Box, GeoRef

MapPoint = tuple[float, float]

PIXEL_NOTE = (
    "The scene has no coordinate reference system, so the boxes are in pixels of the picture "
    "(edges, origin at the top-left corner, y down) and cannot be placed on a map."
)


def place_on_map(answer: Answer, georef: GeoRef, question: str = "") -> dict[str, Any]:
    """Return an answer as a GeoJSON FeatureCollection (RFC 7946).

    Each box is one feature, converted corner by corner, so rotated boxes and rotated transforms are exact. An answer
    without boxes becomes one feature with the footprint of the chip. The properties hold the box in pixels and in the
    scene's own CRS; the foreign member ``geoprose`` holds question, answer and georeference once.

    Args:
        answer: Boxes in pixels of the chip.
        georef: Where the chip lies.
        question: The question that was answered.

    Returns:
        A FeatureCollection ready for ``json.dump``.

    Raises:
        GeoreferenceError: If the chip has no CRS or a transform that cannot be used.
    """
    if georef.crs is None:
        raise GeoreferenceError(
            "The scene has no coordinate reference system, so the answer cannot be placed on a map. Assign one with "
            "`gdal_edit.py -a_srs EPSG:<code> SCENE`, or use place_in_pixels for boxes in pixels."
        )
    texts = {"question": question, "answer": answer.text}
    features = [_box_feature(index, box, georef, georef.crs, texts) for index, box in enumerate(answer.boxes)]
    if not features:
        corners = corners_map(georef)
        geometry = polygon_to_lonlat(corners, georef.crs)
        properties = {"kind": "footprint", **texts, **_native(corners, georef.crs)}
        features = [{"type": "Feature", "id": 0, "geometry": geometry, "properties": properties}]
    return {"type": "FeatureCollection", "features": features, "geoprose": _about(answer, georef, question)}


def place_in_pixels(answer: Answer, width_px: int, height_px: int, question: str = "") -> dict[str, Any]:
    """Return an answer about a scene without a CRS: boxes in pixels, and a note that says so.

    It is not GeoJSON on purpose: a map would draw its pixels near longitude 0, latitude 0.
    """
    return {
        "type": "PixelAnswer",
        "note": PIXEL_NOTE,
        "question": question,
        "answer": answer.text,
        "status": answer.status,
        "problems": list(answer.problems),
        "width_px": width_px,
        "height_px": height_px,
        "boxes": [_pixels(box) for box in answer.boxes],
    }


def place(answer: Answer, georef: GeoRef, question: str = "") -> dict[str, Any]:
    """Place an answer on the map where there is a CRS, else in pixels with a note."""
    if georef.crs is None:
        return place_in_pixels(answer, georef.width_px, georef.height_px, question)
    return place_on_map(answer, georef, question)


def write_geojson(collection: dict[str, Any], path: Path) -> None:
    """Write a placed answer atomically: a reader sees the old file or the whole new one."""
    write_json(path, collection)


def _box_feature(index: int, box: Box, georef: GeoRef, crs: str, texts: dict[str, str]) -> dict[str, Any]:
    corners = [pixel_to_map(x, y, georef) for x, y in box_corners(box)]
    properties = {"kind": "box", **_pixels(box), **texts, **_native(corners, crs)}
    return {"type": "Feature", "id": index, "geometry": _geometry(box, corners, crs), "properties": properties}


def _geometry(box: Box, corners: list[MapPoint], crs: str) -> dict[str, Any]:
    if box.x_min < box.x_max and box.y_min < box.y_max:
        return polygon_to_lonlat(corners, crs)
    # Why not a polygon: a ring without area is not valid GeoJSON; the centre still says where the model pointed.
    centre_x, centre_y = (corners[0][axis] / 2 + corners[2][axis] / 2 for axis in (0, 1))
    lon, lat = to_lonlat(centre_x, centre_y, crs)
    return {"type": "Point", "coordinates": [float(lon), float(lat)]}


def _pixels(box: Box) -> dict[str, Any]:
    return {
        "label": box.label,
        "score": box.score,
        "angle_deg": box.angle_deg,
        "pixel_box": [box.x_min, box.y_min, box.x_max, box.y_max],
        "pixel_corners": [list(corner) for corner in box_corners(box)],
    }


def _native(corners: list[MapPoint], crs: str) -> dict[str, Any]:
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return {
        "native_crs": crs,
        "native_bbox": [min(xs), min(ys), max(xs), max(ys)],
        "native_corners": [list(corner) for corner in corners],
    }


def _about(answer: Answer, georef: GeoRef, question: str) -> dict[str, Any]:
    return {
        "question": question,
        "answer": answer.text,
        "status": answer.status,
        "problems": list(answer.problems),
        "crs": georef.crs,
        "transform": list(georef.transform),
        "width_px": georef.width_px,
        "height_px": georef.height_px,
    }
