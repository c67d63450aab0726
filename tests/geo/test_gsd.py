import math

import pytest
from pyproj import Geod

from geoprose.core.errors import GeoreferenceError
from geoprose.core.types import GeoRef
from geoprose.geo.gsd import gsd_m


@pytest.mark.parametrize("latitude", [0.0, 30.0, 52.5, -67.0, 85.0])
def test_degrees_become_metres_on_the_ellipsoid(latitude):
    step = 0.001
    georef = GeoRef((step, 0, 10 - 50 * step, 0, -step, latitude + 50 * step), "EPSG:4326", 100, 100)
    geod = Geod(ellps="WGS84")
    east = geod.inv(10 - step / 2, latitude, 10 + step / 2, latitude)[2]
    north = geod.inv(10, latitude - step / 2, 10, latitude + step / 2)[2]
    assert gsd_m(georef) == pytest.approx((east, north), rel=1e-9)


def test_one_degree_at_the_equator():
    """111.32 km along the equator and 110.57 km along the meridian: textbook figures, not those of the code."""
    georef = GeoRef((1, 0, -0.5, 0, -1, 0.5), "EPSG:4326", 1, 1)
    assert gsd_m(georef) == pytest.approx((111_319.5, 110_574.4), abs=0.5)


def test_the_gsd_is_that_of_the_centre():
    tall = GeoRef((0.01, 0, 0, 0, -0.01, 60.0), "EPSG:4326", 100, 6000)
    centred_on_30 = GeoRef((0.01, 0, 0, 0, -0.01, 30.005), "EPSG:4326", 100, 1)
    assert gsd_m(tall)[0] == pytest.approx(gsd_m(centred_on_30)[0], rel=1e-9)


@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0, 200.0])
def test_rotation_does_not_change_the_length(angle):
    turn = math.radians(angle)
    transform = (10 * math.cos(turn), 5 * math.sin(turn), 5e5, 10 * math.sin(turn), -5 * math.cos(turn), 5e6)
    assert gsd_m(GeoRef(transform, "EPSG:32633", 100, 100)) == pytest.approx((10.0, 5.0))


def test_rotation_in_degrees_mixes_the_axes():
    georef = GeoRef((0, 0.001, 10, -0.001, 0, 60), "EPSG:4326", 1, 1)  # a step along the row goes south
    along_row, down_column = gsd_m(georef)
    assert along_row == pytest.approx(2 * down_column, rel=0.01)  # cos(60 degrees) is one half


def test_feet_become_metres():
    """EPSG:2263 is in US survey feet."""
    assert gsd_m(GeoRef((2, 0, 1e6, 0, -2, 2e5), "EPSG:2263", 10, 10)) == pytest.approx((2 * 1200 / 3937,) * 2)


def test_utm_is_close_to_the_geodesic():
    georef = GeoRef((10, 0, 699_500, 0, -10, 5_000_500), "EPSG:32633", 100, 100)
    from geoprose.geo.crs import to_lonlat

    lons, lats = to_lonlat([699_995, 700_005], [5_000_000, 5_000_000], "EPSG:32633")
    true = Geod(ellps="WGS84").inv(lons[0], lats[0], lons[1], lats[1])[2]
    assert gsd_m(georef)[0] == pytest.approx(true, rel=1e-3)


def test_the_pole_is_finite():
    gsd_x, gsd_y = gsd_m(GeoRef((0.1, 0, -180, 0, -0.1, 90.05), "EPSG:4326", 3600, 1))
    assert gsd_x == pytest.approx(0.0, abs=1e-6)
    assert 0 < gsd_y < 11_200


@pytest.mark.parametrize("crs", [None, "EPSG:4978"])
def test_no_horizontal_crs_is_an_error(crs):
    with pytest.raises(GeoreferenceError):
        gsd_m(GeoRef((1, 0, 0, 0, -1, 0), crs, 10, 10))
