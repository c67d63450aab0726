from __future__ import annotations

import numpy as np
import pytest

from geoprose.answers.codecs import parse_answer
from geoprose.data.world.classes import class_index
from geoprose.data.world.margins import Margins
from geoprose.data.world.regions import blocks_of, box, component_ids
from geoprose.data.world.tiles import Tile, facts_of
from geoprose.data.world.wording import BOX_CODEC


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


def test_pixels_that_touch_by_a_corner_are_two_regions():
    labels = np.zeros((1, 4, 4), np.uint8)
    labels[0, 0, 0] = labels[0, 1, 1] = 1
    assert len(np.unique(component_ids(labels)[labels == 1])) == 2


def _box_questions(labels: np.ndarray) -> dict[str, tuple[str, tuple[int, int, int, int] | None]]:
    found = box([facts_of(Tile(0, 0, 64, ""), labels)], Margins())
    return {candidate.question: (candidate.answer, candidate.box_px) for candidate in found}


def test_the_box_surrounds_the_largest_region():
    labels = np.full((64, 64), class_index("grass"), np.uint8)
    labels[8:24, 16:48] = class_index("water")  # 32 blocks
    labels[40:48, 0:16] = class_index("water")  # 8 blocks
    assert _box_questions(labels)["Box water"] == ("north 2163", (16, 8, 48, 24))


def test_a_box_answer_is_read_back_within_its_rounding():
    labels = np.full((64, 64), class_index("grass"), np.uint8)
    labels[4:36, 12:60] = class_index("water")
    answer, box_px = _box_questions(labels)["Box water"]
    read = parse_answer(answer, BOX_CODEC, (64, 64)).boxes[0]
    assert (read.x_min, read.y_min, read.x_max, read.y_max) == pytest.approx(box_px, abs=64 / 16)


@pytest.mark.parametrize(
    "second_rows",
    [slice(40, 56), slice(40, 50)],  # as large, and just over half as large
)
def test_no_box_is_asked_for_when_two_regions_compete(second_rows):
    labels = np.full((64, 64), class_index("grass"), np.uint8)
    labels[8:24, 16:48] = class_index("water")
    labels[second_rows, 16:48] = class_index("water")
    assert "Box water" not in _box_questions(labels)


def test_no_box_is_asked_for_around_everything_or_almost_nothing():
    labels = np.full((64, 64), class_index("grass"), np.uint8)
    labels[0:8, 0:32] = class_index("water")  # 16 blocks
    assert _box_questions(labels) == {}


def test_a_block_belongs_to_the_class_that_fills_half_of_it():
    mask = np.zeros((1, 64, 64), bool)
    mask[0, 0:2, 0:4] = True
    mask[0, 0:2, 8:11] = True
    blocks = blocks_of(mask)[0]
    assert blocks[0, 0]
    assert blocks.sum() == 1
