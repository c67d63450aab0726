from __future__ import annotations

import numpy as np
import pytest

from geoprose.data.world.regions import component_ids, largest_regions


def _flood(labels: np.ndarray) -> np.ndarray:
    """Plain flood fill, the slow reference."""
    ids = np.full(labels.shape, -1)
    for start in np.ndindex(*labels.shape):
        if ids[start] >= 0:
            continue
        number, stack = start[0] * labels.shape[1] + start[1], [start]
        while stack:
            y, x = stack.pop()
            if ids[y, x] >= 0 or labels[y, x] != labels[start]:
                continue
            ids[y, x] = number
            neighbours = ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1))
            stack += [(v, u) for v, u in neighbours if 0 <= v < labels.shape[0] and 0 <= u < labels.shape[1]]
    return ids


@pytest.mark.parametrize("num_classes", [1, 2, 4])
def test_components_equal_a_flood_fill(num_classes):
    labels = np.random.default_rng(num_classes).integers(0, num_classes, (5, 16, 16)).astype(np.uint8)
    ids = component_ids(labels)
    for number, tile in enumerate(labels):
        assert np.array_equal(ids[number] - number * 256, _flood(tile))


def test_a_spiral_is_one_region():
    labels = np.zeros((1, 7, 7), np.uint8)
    labels[0, 1, :6] = labels[0, 1:6, 5] = labels[0, 5, 1:6] = labels[0, 3:6, 1] = labels[0, 3, 1:4] = 1
    ids = component_ids(labels)[0]
    assert len(np.unique(ids[labels[0] == 1])) == 1


def test_the_largest_region_and_its_box():
    labels = np.zeros((8, 8), np.uint8)
    labels[1:3, 2:7] = 1  # 10 pixels
    labels[5:8, 0:2] = 1  # 6 pixels
    labels[4, 7] = 1
    first, second = largest_regions(labels, component_ids(labels[None])[0], 1)
    assert (first.area_px, first.box_px) == (10, (2, 1, 7, 3))
    assert (second.area_px, second.box_px) == (6, (0, 5, 2, 8))


def test_pixels_that_touch_by_a_corner_are_two_regions():
    labels = np.zeros((4, 4), np.uint8)
    labels[0, 0] = labels[1, 1] = 1
    assert [region.area_px for region in largest_regions(labels, component_ids(labels[None])[0], 1)] == [1, 1]
