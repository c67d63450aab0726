"""Answers on the map, written to a file and read again by an independent reader."""

from __future__ import annotations

import json
import math

import geopandas
import numpy as np
import pyogrio
import pyproj
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from geoprose.answers.codecs import parse_answer
from geoprose.answers.corners import box_corners
from geoprose.answers.place import PIXEL_NOTE, place, place_in_pixels, place_on_map, write_geojson
from geoprose.core.errors import GeoreferenceError
from geoprose.core.types import Answer, Box, GeoRef

UTM = GeoRef((10.0, 0.0, 500_000.0, 0.0, -10.0, 5_750_000.0), "EPSG:32631", 100, 80)
TURNED = Affine.translation(300_000, 4_200_000) @ Affine.rotation(33) @ Affine.scale(3.0, -2.0)
GEOREFS = {
    "utm": UTM,
    "rotated": GeoRef(tuple(TURNED)[:6], "EPSG:32633", 100, 80),
    "lonlat": GeoRef((0.01, 0.0, 12.0, 0.0, -0.01, 48.0), "EPSG:4326", 100, 80),
    "south_up": GeoRef((10.0, 0.0, 500_000.0, 0.0, 10.0, 5_750_000.0), "EPSG:32631", 100, 80),
    "arctic": GeoRef((5_000.0, 0.0, 300_000.0, 0.0, -5_000.0, 900_000.0), "EPSG:3413", 100, 80),
}
BOXES = (
    Box(10, 20, 40, 60, label="lake", score=0.9),
    Box(30, 30, 70, 50, angle_deg=25.0, label="ship"),
)


def expected_corners(box: Box, georef: GeoRef) -> np.ndarray:
    """Corners in longitude and latitude by affine and pyproj alone, without geoprose's own geometry."""
    angle = math.radians(box.angle_deg)
    centre = np.array([(box.x_min + box.x_max) / 2, (box.y_min + box.y_max) / 2])
    half = np.array([(box.x_max - box.x_min) / 2, (box.y_max - box.y_min) / 2])
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    pixels = centre + (np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half) @ turn.T
    xy = [Affine(*georef.transform) @ tuple(pixel) for pixel in pixels]
    transformer = pyproj.Transformer.from_crs(georef.crs, "EPSG:4326", always_xy=True)
    return np.array([transformer.transform(x, y) for x, y in xy])


def read_back(collection: dict, tmp_path):
    path = tmp_path / "answer.geojson"
    write_geojson(collection, path)
    return geopandas.read_file(path, engine="pyogrio"), path


def distance_to_vertices(corners: np.ndarray, geometry) -> float:
    vertices = shapely.get_coordinates(geometry)
    lon = np.abs((corners[:, None, 0] - vertices[None, :, 0] + 180) % 360 - 180)
    lat = np.abs(corners[:, None, 1] - vertices[None, :, 1])
    return float(np.maximum(lon, lat).min(axis=1).max())


@pytest.mark.parametrize("name", sorted(GEOREFS))
def test_boxes_read_back_where_pyproj_puts_them(name, tmp_path) -> None:
    georef = GEOREFS[name]
    answer = Answer("two things", BOXES, "ok")
    frame, path = read_back(place_on_map(answer, georef, "what?"), tmp_path)
    assert frame.crs.to_epsg() == 4326
    assert list(frame["label"]) == ["lake", "ship"]
    assert list(frame["answer"]) == ["two things"] * 2
    for box, geometry in zip(BOXES, frame.geometry, strict=True):
        assert distance_to_vertices(expected_corners(box, georef), geometry) < 1e-9
        assert geometry.is_valid
        assert all(part.exterior.is_ccw for part in getattr(geometry, "geoms", [geometry]))
    assert pyogrio.read_info(path)["features"] == 2


@pytest.mark.parametrize("name", sorted(GEOREFS))
def test_the_drawn_polygon_has_the_area_of_the_box(name, tmp_path) -> None:
    georef = GEOREFS[name]
    frame, _ = read_back(place_on_map(Answer("x", BOXES[:1], "ok"), georef), tmp_path)
    geod = pyproj.Geod(ellps="WGS84")
    drawn = abs(geod.geometry_area_perimeter(frame.geometry.iloc[0])[0])
    fine = []
    corners = [Affine(*georef.transform) @ corner for corner in ((10, 20), (40, 20), (40, 60), (10, 60))]
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        fine += [(x0 + (x1 - x0) * t, y0 + (y1 - y0) * t) for t in np.linspace(0, 1, 400, endpoint=False)]
    transformer = pyproj.Transformer.from_crs(georef.crs, "EPSG:4326", always_xy=True)
    ring = np.array([transformer.transform(x, y) for x, y in fine])
    true = abs(geod.polygon_area_perimeter(ring[:, 0], ring[:, 1])[0])
    assert drawn == pytest.approx(true, rel=2e-3)


def test_native_properties_hold_the_box_in_the_scenes_own_crs(tmp_path) -> None:
    frame, _ = read_back(place_on_map(Answer("a", BOXES[:1], "ok"), UTM), tmp_path)
    row = frame.iloc[0]
    assert row["native_crs"] == "EPSG:32631"
    assert list(row["native_bbox"]) == [500_100.0, 5_749_400.0, 500_400.0, 5_749_800.0]
    assert list(row["pixel_box"]) == [10, 20, 40, 60]
    assert row["score"] == 0.9


def test_no_box_gives_the_footprint_with_the_text(tmp_path) -> None:
    collection = place_on_map(Answer("mostly forest"), UTM, "what is there?")
    frame, _ = read_back(collection, tmp_path)
    assert list(frame["kind"]) == ["footprint"]
    assert frame["answer"].iloc[0] == "mostly forest"
    assert frame["question"].iloc[0] == "what is there?"
    corners = expected_corners(Box(0, 0, UTM.width_px, UTM.height_px), UTM)
    assert distance_to_vertices(corners, frame.geometry.iloc[0]) < 1e-9
    assert collection["geoprose"]["answer"] == "mostly forest"


def test_a_box_across_the_antimeridian_is_cut_in_two(tmp_path) -> None:
    georef = GeoRef((0.1, 0.0, 178.0, 0.0, -0.1, -10.0), "EPSG:4326", 100, 80)
    frame, _ = read_back(place_on_map(Answer("x", (Box(0, 10, 40, 30),), "ok"), georef), tmp_path)
    geometry = frame.geometry.iloc[0]
    assert geometry.geom_type == "MultiPolygon"
    assert geometry.is_valid
    assert geometry.area == pytest.approx(4.0 * 2.0)
    assert geometry.contains(shapely.Point(179.0, -12.0))
    assert geometry.contains(shapely.Point(-179.0, -12.0))
    assert not geometry.intersects(shapely.Point(0.0, -12.0))


@pytest.mark.parametrize(("crs", "pole_lat"), [("EPSG:3413", 90.0), ("EPSG:3031", -90.0)])
def test_a_box_over_the_pole_contains_the_pole(crs, pole_lat, tmp_path) -> None:
    georef = GeoRef((1_000.0, 0.0, -50_000.0, 0.0, -1_000.0, 40_000.0), crs, 100, 80)
    box = Box(20, 20, 80, 60)
    frame, _ = read_back(place_on_map(Answer("x", (box,), "ok"), georef), tmp_path)
    geometry = frame.geometry.iloc[0]
    assert geometry.is_valid
    assert geometry.covers(shapely.Point(0.0, pole_lat))
    assert distance_to_vertices(expected_corners(box, georef), geometry) < 1e-9
    minimum, maximum = sorted((abs(geometry.bounds[1]), abs(geometry.bounds[3])))
    assert maximum == 90.0
    assert minimum > 89.0
    assert (geometry.bounds[0], geometry.bounds[2]) == (-180.0, 180.0)


def test_a_box_without_area_becomes_its_centre(tmp_path) -> None:
    frame, _ = read_back(place_on_map(Answer("x", (Box(10, 20, 10, 60),), "ok"), UTM), tmp_path)
    lon, lat = pyproj.Transformer.from_crs(UTM.crs, "EPSG:4326", always_xy=True).transform(500_100.0, 5_749_600.0)
    assert frame.geometry.iloc[0].geom_type == "Point"
    assert shapely.get_coordinates(frame.geometry.iloc[0])[0] == pytest.approx((lon, lat), abs=1e-9)


def test_without_a_crs_the_map_is_refused_and_pixels_come_with_a_note(tmp_path) -> None:
    georef = GeoRef((1.0, 0.0, 0.0, 0.0, 1.0, 0.0), None, 64, 48)
    answer = Answer("a ship", (Box(1, 2, 3, 4, label="ship"),), "ok")
    with pytest.raises(GeoreferenceError, match=r"gdal_edit\.py"):
        place_on_map(answer, georef)
    placed = place(answer, georef, "where?")
    assert placed == place_in_pixels(answer, 64, 48, "where?")
    assert placed["note"] == PIXEL_NOTE
    assert placed["type"] != "FeatureCollection"
    assert placed["boxes"][0]["pixel_box"] == [1, 2, 3, 4]
    assert place(answer, UTM)["type"] == "FeatureCollection"


def test_a_failed_write_leaves_the_old_file(tmp_path) -> None:
    path = tmp_path / "answer.geojson"
    write_geojson(place_on_map(Answer("old"), UTM), path)
    broken = place_on_map(Answer("new"), UTM)
    broken["features"][0]["properties"]["score"] = float("nan")
    with pytest.raises(ValueError, match="JSON"):
        write_geojson(broken, path)
    assert json.loads(path.read_text())["geoprose"]["answer"] == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["answer.geojson"]


def test_from_text_to_the_map() -> None:
    answer = parse_answer("ship: [100 250 400 750]", "geoprose", (100, 80))
    feature = place_on_map(answer, UTM, "where is the ship?")["features"][0]
    assert feature["properties"]["label"] == "ship"
    assert feature["properties"]["native_bbox"] == [500_100.0, 5_749_400.0, 500_400.0, 5_749_800.0]


@settings(max_examples=60, deadline=None)
@given(
    angle=st.floats(0, 360),
    box_angle=st.floats(-89, 90),
    x=st.floats(0, 60),
    y=st.floats(0, 60),
    width=st.floats(1, 40),
    height=st.floats(1, 40),
)
def test_any_rotation_of_scene_and_box_is_exact(angle, box_angle, x, y, width, height) -> None:
    affine = Affine.translation(500_000, 5_000_000) @ Affine.rotation(angle) @ Affine.scale(10, -10)
    georef = GeoRef(tuple(affine)[:6], "EPSG:32631", 100, 100)
    box = Box(x, y, x + width, y + height, angle_deg=box_angle)
    feature = place_on_map(Answer("x", (box,), "ok"), georef)["features"][0]
    geometry = shapely.from_geojson(json.dumps(feature["geometry"]))
    assert distance_to_vertices(expected_corners(box, georef), geometry) < 1e-9
    native = np.array(feature["properties"]["native_corners"])
    assert native == pytest.approx(np.array([affine @ corner for corner in box_corners(box)]), abs=1e-6)
