import pytest

from geoprose.core.errors import SceneError
from geoprose.core.types import GeoRef
from geoprose.geo.crs import from_lonlat, to_lonlat
from geoprose.geo.pixels import pixel_to_map
from geoprose.scenes.window import Window, as_window, region_window

UTM = GeoRef((10, 0, 5e5, 0, -10, 5e6), "EPSG:32633", 1000, 800)


def lonlat_box(georef, left, top, right, bottom):
    corners = [pixel_to_map(float(x), float(y), georef) for x, y in ((left, bottom), (right, top))]
    lons, lats = to_lonlat(*zip(*corners, strict=True), georef.crs)
    return float(lons[0]), float(lats[0]), float(lons[1]), float(lats[1])


def test_a_region_of_degrees_encloses_its_pixels():
    window = region_window(lonlat_box(UTM, 100, 200, 300, 350), "EPSG:4326", UTM, "a.tif")
    assert window.col_off <= 100
    assert window.row_off <= 200
    assert window.col_off + window.width >= 300
    assert window.row_off + window.height >= 350
    assert window.width <= 210
    assert window.height <= 160


def test_a_region_in_the_scenes_own_units_is_exact():
    assert region_window((501_000, 4_996_500, 503_000, 4_998_000), "EPSG:32633", UTM, "a") == Window(100, 200, 200, 150)


def test_a_region_is_clipped():
    assert region_window((0, 0, 9e9, 9e9), "EPSG:32633", UTM, "a") == Window(0, 0, 1000, 800)


def test_a_point_like_region_is_one_pixel():
    assert region_window((501_001, 4_998_001, 501_002, 4_998_002), "EPSG:32633", UTM, "a") == Window(100, 199, 1, 1)


def test_a_region_on_a_rotated_scene():
    georef = GeoRef((0, 10, 5e5, 10, 0, 5e6), "EPSG:32633", 100, 100)  # x and y swapped
    window = region_window((5e5 + 100, 5e6 + 300, 5e5 + 200, 5e6 + 600), "EPSG:32633", georef, "a")
    assert window == Window(30, 10, 30, 10)


@pytest.mark.parametrize("west", [-180.0, 0.0])
def test_regions_across_the_antimeridian(west):
    """A world raster from -180 cannot hold the region in one piece; one from 0 can."""
    world = GeoRef((1, 0, west, 0, -1, 90), "EPSG:4326", 360, 180)
    window = region_window((170, -10, -175, 10), "EPSG:4326", world, "a")
    expected = Window(350, 80, 10, 20) if west == -180 else Window(170, 80, 15, 20)
    assert window == expected


def test_western_longitudes_on_a_raster_from_0_to_360():
    world = GeoRef((1, 0, 0, 0, -1, 90), "EPSG:4326", 360, 180)
    assert region_window((-20, 0, -10, 10), "EPSG:4326", world, "a") == Window(340, 80, 10, 10)


def test_a_region_round_the_pole():
    polar = GeoRef((1e4, 0, -1e6, 0, -1e4, 1e6), "EPSG:3413", 200, 200)
    assert region_window((-180, 60, 180, 90), "EPSG:4326", polar, "a") == Window(0, 0, 200, 200)
    x, y = from_lonlat(0.0, 89.5, "EPSG:3413")
    near = region_window((-180, 89.0, 180, 90), "EPSG:4326", polar, "a")
    assert near.col_off < (x + 1e6) / 1e4 < near.col_off + near.width
    assert near.row_off < (1e6 - y) / 1e4 < near.row_off + near.height
    assert near.width < 30


@pytest.mark.parametrize("bounds", [(1, 1, 1, 2), (2, 1, 1, 2), (0, float("nan"), 1, 1), (0, 0, float("inf"), 1)])
def test_an_empty_region_is_refused(bounds):
    with pytest.raises(SceneError, match="empty or not finite"):
        region_window(bounds, "EPSG:32633", UTM, "a.tif")


def test_rasterio_windows_are_accepted():
    from geoprose.scenes.safe_gdal import rasterio

    assert as_window(rasterio.windows.Window(1, 2, 3, 4), UTM, "a") == Window(1, 2, 3, 4)
