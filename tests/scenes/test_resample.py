import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoprose.scenes.resample import AreaAverage, nearest_indices


def brute_force(values, is_valid, edges_y, edges_x):
    """Average by splitting each pixel's weight explicitly: one cell and one pixel at a time."""
    height, width = len(edges_y) - 1, len(edges_x) - 1
    out, weight = np.zeros((height, width)), np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            for row in range(values.shape[0]):
                for column in range(values.shape[1]):
                    y = max(0.0, min(edges_y[i + 1], row + 1) - max(edges_y[i], row))
                    x = max(0.0, min(edges_x[j + 1], column + 1) - max(edges_x[j], column))
                    if is_valid[row, column]:
                        out[i, j] += y * x * values[row, column]
                        weight[i, j] += y * x
    return np.divide(out, weight, out=np.zeros_like(out), where=weight > 1e-9), weight > 1e-9


@settings(deadline=None, max_examples=60)
@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(1, 7), st.integers(1, 7)),
    st.tuples(st.floats(0, 0.45), st.floats(0.55, 1)),
    st.integers(0, 2**31),
    st.booleans(),
)
def test_equal_to_brute_force_however_it_is_cut(source, target, span, seed, has_holes):
    generator = np.random.default_rng(seed)
    values = generator.normal(size=source)
    is_valid = generator.random(source) > 0.4 if has_holes else np.ones(source, dtype=bool)
    edges_y = np.linspace(span[0] * source[0], span[1] * source[0], target[0] + 1)
    edges_x = np.linspace(span[0] * source[1], span[1] * source[1], target[1] + 1)
    average = AreaAverage(edges_y, edges_x, 1)
    cut_y, cut_x = generator.integers(0, source[0] + 1), generator.integers(0, source[1] + 1)
    for rows in (slice(0, cut_y), slice(cut_y, source[0])):
        for columns in (slice(0, cut_x), slice(cut_x, source[1])):
            if rows.start < rows.stop and columns.start < columns.stop:
                block = values[rows, columns][None]
                average.add(block, is_valid[rows, columns], offset=(rows.start, columns.start))
    found, found_valid = average.result(np.dtype("float64"), fill=0.0)
    expected, expected_valid = brute_force(values, is_valid, edges_y, edges_x)
    assert (found_valid == expected_valid).all()
    assert found[0] == pytest.approx(expected, abs=1e-9)


def test_a_huge_value_stays_where_it_is():
    values = np.array([[1e300, 1.0, 2.0, 3.0]])
    average = AreaAverage(np.array([0.0, 1.0]), np.array([0.0, 1.0, 2.5, 4.0]), 1)
    average.add(values[None], np.ones((1, 4), dtype=bool), offset=(0, 0))
    assert average.result(np.dtype("float64"), 0.0)[0][0, 0, 1:] == pytest.approx([4 / 3, 8 / 3])


def test_integers_are_rounded_and_holes_filled():
    values = np.array([[[1, 2, 5, 5], [2, 2, 5, 5]]], dtype=np.int16)
    is_valid = np.array([[True, True, False, False]] * 2)
    average = AreaAverage(np.array([0.0, 2.0]), np.array([0.0, 2.0, 4.0]), 1)
    average.add(values, is_valid, offset=(0, 0))
    pixels, valid = average.result(np.dtype("int16"), fill=-7)
    assert pixels.tolist() == [[[2, -7]]]
    assert valid.tolist() == [[True, False]]


def test_nearest_takes_the_pixel_at_the_centre():
    assert nearest_indices(np.linspace(0, 10, 6), 10).tolist() == [1, 3, 5, 7, 9]
    assert nearest_indices(np.linspace(0, 4, 9), 4).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
