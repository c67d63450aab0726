import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoprose.core.errors import GeoreferenceError
from geoprose.core.types import GeoRef
from geoprose.geo.pixels import corners_map, map_to_pixel, pixel_to_map, window_georef

pixels = st.floats(-1000, 20_000)
offsets = st.integers(0, 5000)
scales = st.floats(0.25, 64)


@st.composite
def georefs(draw):
    """Any rotation, shear, mirror and pixel size; the two axes never nearly parallel."""
    size_x, size_y = draw(st.floats(1e-5, 1e4)), draw(st.floats(1e-5, 1e4))
    angle = draw(st.floats(0, 2 * np.pi))
    between = draw(st.floats(0.2, np.pi - 0.2)) * draw(st.sampled_from([-1, 1]))
    a, d = size_x * np.cos(angle), size_x * np.sin(angle)
    b, e = size_y * np.cos(angle + between), size_y * np.sin(angle + between)
    c, f = draw(st.floats(-1e7, 1e7)), draw(st.floats(-1e7, 1e7))
    return GeoRef((a, b, c, d, e, f), "EPSG:32633", 5000, 5000)


def tolerance_px(georef):
    """The map coordinate carries 53 bits; what is left of them after the offset, in pixels, times a small factor."""
    a, b, c, d, e, f = georef.transform
    size = min(np.hypot(a, d), np.hypot(b, e)) * 0.15
    return 1e-9 * 2e4 * max(1.0, np.hypot(a, d) / size, np.hypot(b, e) / size) + 8e-16 * max(abs(c), abs(f), 1) / size


@given(georefs(), pixels, pixels)
def test_pixel_map_pixel_is_the_identity(georef, x, y):
    again = map_to_pixel(*pixel_to_map(x, y, georef), georef)
    assert again == pytest.approx((x, y), abs=tolerance_px(georef))


@given(georefs(), offsets, offsets, pixels, pixels)
def test_a_window_maps_like_the_scene(georef, col_off, row_off, x, y):
    """Mapping a pixel of the window equals mapping the same pixel of the scene."""
    window = window_georef(georef, col_off, row_off, 100, 50)
    found = pixel_to_map(x, y, window)
    expected = pixel_to_map(x + col_off, y + row_off, georef)
    size = max(abs(value) for value in georef.transform)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9 * size)


@given(georefs(), st.tuples(offsets, offsets), st.tuples(scales, scales), st.tuples(pixels, pixels))
def test_a_decimated_window_maps_like_the_scene(georef, offset, scale, point):
    (col_off, row_off), (scale_x, scale_y), (x, y) = offset, scale, point
    window = window_georef(georef, col_off, row_off, 640, 480, scale_x, scale_y)
    found = pixel_to_map(x, y, window)
    expected = pixel_to_map(x * scale_x + col_off, y * scale_y + row_off, georef)
    size = max(abs(value) for value in georef.transform)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-6 * size)
    assert (window.width_px, window.height_px) == (max(1, round(640 / scale_x)), max(1, round(480 / scale_y)))


def test_windows_nest():
    georef = GeoRef((10.0, 1.0, 5e5, 2.0, -10.0, 5e6), "EPSG:32633", 100, 100)
    twice = window_georef(window_georef(georef, 10, 20, 60, 60, 2, 3), 5, 4, 8, 8, 2, 2)
    assert pixel_to_map(1.0, 1.0, twice) == pytest.approx(pixel_to_map(10 + 2 * (5 + 2), 20 + 3 * (4 + 2), georef))


def test_arrays_map_like_numbers():
    georef = GeoRef((10.0, 1.0, 5e5, 2.0, -10.0, 5e6), "EPSG:32633", 100, 100)
    xs, ys = np.array([0.0, 3.5]), np.array([1.0, 7.25])
    mapped = np.stack(pixel_to_map(xs, ys, georef), axis=1)
    assert [tuple(row) for row in mapped] == [pixel_to_map(x, y, georef) for x, y in zip(xs, ys, strict=True)]


def test_corners_go_round_from_the_top_left():
    georef = GeoRef((10.0, 0.0, 100.0, 0.0, -10.0, 200.0), None, 4, 3)
    assert corners_map(georef) == [(100, 200), (140, 200), (140, 170), (100, 170)]


def test_large_eastings_keep_their_digits():
    georef = GeoRef((0.1, 0.0, 12_345_678.9, 0.0, -0.1, 98_765_432.1), None, 10, 10)
    assert map_to_pixel(*pixel_to_map(7.3, 2.9, georef), georef) == pytest.approx((7.3, 2.9), abs=1e-6)


@pytest.mark.parametrize("transform", [(0, 0, 5, 0, 0, 5), (1, 2, 0, 2, 4, 0), (float("nan"), 0, 0, 0, 1, 0)])
def test_a_transform_without_inverse_is_refused(transform):
    with pytest.raises(GeoreferenceError, match="cannot be inverted"):
        map_to_pixel(1.0, 1.0, GeoRef(transform, None, 1, 1))
