import numpy as np
import pytest

from geoprose.core.errors import GeoreferenceError
from geoprose.geo.crs import from_lonlat, is_geographic, parse_crs, to_lonlat


def test_longitude_comes_first():
    lon, lat = to_lonlat(500_000.0, 0.0, "EPSG:32633")
    assert (float(lon), float(lat)) == pytest.approx((15.0, 0.0), abs=1e-7)  # 1 cm: LAEA is inverted by a series


@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:3857", "EPSG:2154", "EPSG:4258", "EPSG:3035"])
def test_there_and_back(crs):
    lons, lats = np.linspace(3, 7, 5), np.linspace(43, 49, 5)
    again = to_lonlat(*from_lonlat(lons, lats, crs), crs)
    assert np.stack(again) == pytest.approx(np.stack([lons, lats]), abs=1e-7)  # 1 cm: LAEA is inverted by a series


def test_geographic_or_not():
    assert is_geographic("EPSG:4326")
    assert not is_geographic("EPSG:32633")


def test_wkt_and_code_agree():
    wkt = parse_crs("EPSG:32633").to_wkt()
    assert to_lonlat(4e5, 5e6, wkt)[0] == pytest.approx(to_lonlat(4e5, 5e6, "EPSG:32633")[0])


@pytest.mark.parametrize("crs", ["EPSG:999999", "nonsense", ""])
def test_an_unknown_crs_is_named(crs):
    with pytest.raises(GeoreferenceError, match="not a coordinate reference system"):
        to_lonlat(0, 0, crs)


def test_points_outside_a_projection_raise_or_become_infinite():
    with pytest.raises(GeoreferenceError, match="outside the area"):
        to_lonlat([4_321_000.0, 1e9], [3_210_000.0, 1e9], "EPSG:3035")
    lons, _ = to_lonlat([4_321_000.0, 1e9], [3_210_000.0, 1e9], "EPSG:3035", allow_outside=True)
    assert np.isfinite(lons).tolist() == [True, False]
