import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from shapely.geometry import Point, shape

from geoprose.core.errors import GeoreferenceError
from geoprose.geo.crs import to_lonlat
from geoprose.geo.geojson import polygon_to_lonlat

GEOD = Geod(ellps="WGS84")


def square(x, y, half):
    return [(x - half, y + half), (x + half, y + half), (x + half, y - half), (x - half, y - half)]


def rings(geometry):
    polygons = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    return [np.array(polygon[0]) for polygon in polygons]


def assert_rfc7946(geometry):
    polygon = shape(geometry)
    assert polygon.is_valid
    for ring in rings(geometry):
        assert (ring[0] == ring[-1]).all()
        assert (np.abs(ring[:, 0]) <= 180).all()
        assert (np.abs(ring[:, 1]) <= 90).all()
        x, y = (ring - ring[0]).T
        assert np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) > 0, "exterior rings go counter-clockwise"


def test_a_small_box_keeps_exactly_its_corners():
    corners = square(5e5, 5e6, 50)
    geometry = polygon_to_lonlat(corners, "EPSG:32633")
    assert_rfc7946(geometry)
    assert len(geometry["coordinates"][0]) == 5
    expected = {
        (float(lon), float(lat)) for lon, lat in zip(*to_lonlat(*np.array(corners).T, "EPSG:32633"), strict=True)
    }
    assert {tuple(point) for point in geometry["coordinates"][0]} == expected


@settings(deadline=None)
@given(
    st.sampled_from(["EPSG:32633", "EPSG:32701", "EPSG:3857", "EPSG:4326", "EPSG:3413", "EPSG:3031"]),
    st.floats(-1, 1), st.floats(-1, 1), st.floats(1e-5, 0.5), st.booleans(),
)  # fmt: skip
def test_any_square_gives_a_valid_geometry_that_holds_its_centre(crs, x, y, half, is_reversed):
    reach_x, reach_y, base_y = {
        "EPSG:32633": (4e5, 4e6, 4.5e6), "EPSG:32701": (4e5, 4e6, 5.5e6), "EPSG:3857": (1.3e7, 1e7, 0),
        "EPSG:4326": (120, 60, 0),
    }.get(crs, (2e6, 2e6, 0))  # fmt: skip
    base_x = 5e5 if crs.startswith("EPSG:32") else 0
    centre = (base_x + x * reach_x, base_y + y * reach_y)
    corners = square(*centre, half * min(reach_x, reach_y))
    geometry = polygon_to_lonlat(corners[::-1] if is_reversed else corners, crs)
    assert_rfc7946(geometry)
    lon, lat = (float(value) for value in to_lonlat(*centre, crs))
    assert shape(geometry).buffer(1e-9).covers(Point((lon + 180) % 360 - 180, lat))


@pytest.mark.parametrize(("crs", "pole"), [("EPSG:3413", 90), ("EPSG:3031", -90)])
@pytest.mark.parametrize("centre", [(0, 0), (2e5, -3e5), (9e5, 9e5)])
def test_a_ring_round_a_pole_is_closed_over_it(crs, pole, centre):
    geometry = polygon_to_lonlat(square(*centre, 1e6), crs)
    assert_rfc7946(geometry)
    polygon = shape(geometry)
    assert polygon.covers(Point(0, pole))
    assert polygon.bounds[0] == -180
    assert polygon.bounds[2] == 180
    # 2000 km by 2000 km on a map true to scale at 70 degrees (or 71 south): the true area is up to 8 % larger.
    assert abs(geodesic_area(polygon)) == pytest.approx(4e12, rel=0.09)
    lon, lat = (float(value) for value in to_lonlat(centre[0] + 9.9e5, centre[1] - 9.9e5, crs))
    assert polygon.covers(Point(lon, lat))
    lon, lat = (float(value) for value in to_lonlat(centre[0] + 1.01e6, centre[1], crs))
    assert not polygon.covers(Point(lon, lat))


@pytest.mark.parametrize("crs", ["EPSG:3413", "EPSG:3031"])
def test_an_edge_through_the_pole(crs):
    geometry = polygon_to_lonlat(square(0, 5e5, 5e5), crs)
    assert_rfc7946(geometry)
    assert abs(geodesic_area(shape(geometry))) == pytest.approx(1e12, rel=0.09)


def geodesic_area(polygon):
    """Area of a polygon in longitude and latitude, along its drawn (plate carree) edges."""
    parts = polygon.geoms if hasattr(polygon, "geoms") else [polygon]
    total = 0.0
    for part in parts:
        lons, lats = np.radians(np.array(part.segmentize(0.1).exterior.coords)).T
        total += float(np.sum(np.diff(lons) * -(np.sin(lats[:-1]) + np.sin(lats[1:])) / 2)) * 6_371_007.0**2
    return total


@pytest.mark.parametrize(("offset", "encloses"), [(-1.0, True), (1.0, False)])
def test_a_pole_just_inside_or_outside(offset, encloses):
    """The edge passes one metre from the pole."""
    polygon = shape(polygon_to_lonlat(square(1e6 + offset, 0, 1e6), "EPSG:3031"))
    assert polygon.is_valid
    assert (polygon.bounds[0] == -180) is encloses
    assert polygon.covers(Point(90, -89.9))
    assert not polygon.covers(Point(-90, -89.9))


def test_a_box_over_the_antimeridian_is_cut():
    geometry = polygon_to_lonlat(square(8.3e5, 8e6, 2e5), "EPSG:32760")  # Fiji
    assert_rfc7946(geometry)
    assert geometry["type"] == "MultiPolygon"
    west, east = sorted(rings(geometry), key=lambda ring: ring[:, 0].min(), reverse=True)
    assert west[:, 0].max() == 180
    assert east[:, 0].min() == -180
    flat = shape(polygon_to_lonlat(square(5e5, 8e6, 2e5), "EPSG:32760"))
    assert shape(geometry).area == pytest.approx(flat.area, rel=0.02)


@pytest.mark.parametrize(
    ("corners", "area"),
    [
        ([(-180, 90), (180, 90), (180, -90), (-180, -90)], 360 * 180),
        ([(0, 90), (360, 90), (360, -90), (0, -90)], 360 * 180),
        ([(170, 10), (190, 10), (190, -10), (170, -10)], 400),
        ([(350, 10), (355, 10), (355, -10), (350, -10)], 100),
        ([(170, 10), (180, 10), (180, -10), (170, -10)], 200),
        ([(-180, 10), (170, 10), (170, -10), (-180, -10)], 7000),
        ([(-180, 90), (180, 90), (180, 60), (-180, 60)], 360 * 30),
    ],
)
def test_geographic_boxes_keep_their_area(corners, area):
    geometry = polygon_to_lonlat(corners, "EPSG:4326")
    assert_rfc7946(geometry)
    assert shape(geometry).area == pytest.approx(area)


def test_long_edges_follow_the_curve():
    corners = square(0, 0, 1.5e6)  # ETRS-LAEA style: edges bow by degrees
    corners = [(x + 4_321_000, y + 3_210_000) for x, y in corners]
    ring = rings(polygon_to_lonlat(corners, "EPSG:3035"))[0]
    xs, ys = np.linspace(corners[0][0], corners[1][0], 400), np.full(400, corners[0][1])
    edge = np.stack(to_lonlat(xs, ys, "EPSG:3035"), axis=1)
    drawn = shape({"type": "LineString", "coordinates": ring.tolist()})
    assert max(drawn.distance(Point(*point)) for point in edge) < 1e-4 * 30


def test_a_fixed_number_of_segments():
    ring = rings(polygon_to_lonlat(square(5e5, 5e6, 50), "EPSG:32633", densify=4))[0]
    assert len(ring) == 4 * 4 + 1


@pytest.mark.parametrize(
    "corners", [[(0, 0), (1, 1)], [(0, 0), (1, 1), (0, 0)], [(0, 0), (1, 0), (math.nan, 1)], [], [(1, 1)] * 5]
)
def test_what_is_no_polygon_is_refused(corners):
    with pytest.raises(GeoreferenceError, match="at least three"):
        polygon_to_lonlat(corners, "EPSG:32633")
