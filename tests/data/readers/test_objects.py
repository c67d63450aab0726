from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoprose.answers.codecs import parse_answer
from geoprose.answers.corners import box_corners
from geoprose.core.errors import DataError
from geoprose.core.types import Box
from geoprose.data.readers import objects
from geoprose.data.readers.objects import ObjectPicture, Thing
from geoprose.data.readers.picture import Picture


def picture(*things: Thing, size: tuple[int, int] = (200, 100)) -> ObjectPicture:
    return ObjectPicture(Picture("p", ("p.png",), "test"), things, size)


SHIP = Thing((10, 10, 30, 30), "ship")
FAR_SHIP = Thing((150, 12, 160, 30), "ship")
HARBOR = Thing((100, 40, 200, 90), "harbor", is_difficult=True)


def test_detection_asks_for_each_class_and_for_absent_ones_when_told() -> None:
    samples = list(objects.detection(picture(SHIP, HARBOR, FAR_SHIP), ["harbor", "plane", "ship", "tank"], absent=1))
    assert [sample.meta["phrase"] for sample in samples] == ["harbor", "ship", "plane"]
    ship, plane = samples[1], samples[2]
    assert ship.meta["boxes"] == [[10, 10, 30, 30], [150, 12, 160, 30]]
    assert ship.meta["box_labels"] == ["ship", "ship"]
    assert "difficult" not in ship.meta
    assert samples[0].meta["difficult"] == [True]
    assert plane.meta["boxes"] == []
    assert plane.messages[-1].text == "none"
    assert len(parse_answer(ship.messages[-1].text, "geoprose", (200, 100)).boxes) == 2


def test_grounding_asks_for_single_objects_and_clear_extremes_only() -> None:
    samples = {
        str(s.meta["phrase"]): s for s in objects.grounding(picture(SHIP, FAR_SHIP, Thing((5, 60, 9, 64), "dam")))
    }
    assert set(samples) == {"dam", "leftmost ship", "rightmost ship"}  # top and bottom differ by 1 px: not asked
    assert samples["dam"].meta["is_unique"] is True
    assert samples["leftmost ship"].meta["is_unique"] is False
    assert samples["leftmost ship"].meta["boxes"] == [[10, 10, 30, 30]]
    assert list(objects.grounding(picture(HARBOR))) == []  # a difficult object is not asked for


def test_counting_counts_difficult_objects_and_can_ask_for_none() -> None:
    samples = list(objects.counting(picture(SHIP, SHIP, HARBOR), ["harbor", "ship", "tank"], absent=5))
    assert [(sample.meta["phrase"], sample.meta["count"]) for sample in samples] == [
        ("harbor", 1), ("ship", 2), ("tank", 0)
    ]  # fmt: skip


def test_all_objects_of_a_class_are_asked_for_where_there_are_several() -> None:
    (sample,) = objects.multi_target(picture(SHIP, HARBOR, FAR_SHIP))
    assert sample.task == "multi_target"
    assert sample.meta["phrase"] == "ship"


@pytest.mark.parametrize(
    ("label", "words"), [("large-vehicle", "large vehicle"), ("storageTank", "storage tank"), ("ARJ21", "arj21")]
)
def test_class_names_become_words(label: str, words: str) -> None:
    assert objects.object_words(label) == words


def test_size_groups_are_those_of_coco() -> None:
    assert objects.size_group((0, 0, 31, 33)) == "small"
    assert objects.size_group((0, 0, 32, 32)) == "medium"
    assert objects.size_group((0, 0, 96, 96)) == "large"
    assert objects.area_of((0, 0, 4, 0, 4, 3, 0, 3)) == 12
    assert objects.area_of((0, 3, 4, 3, 4, 0, 0, 0)) == 12


@given(
    st.floats(20, 80), st.floats(20, 80), st.floats(4, 30), st.floats(4, 30), st.floats(-89, 90)
)  # fmt: skip
def test_four_corners_become_the_same_rectangle(x: float, y: float, width: float, height: float, angle: float) -> None:
    box = Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2, angle)
    corners = tuple(number for corner in box_corners(box) for number in corner)
    found = objects.to_box(Thing(corners, "ship"))
    assert abs(found.angle_deg) <= 45.0 + 1e-6
    for corner in box_corners(box):
        assert min(math.dist(corner, other) for other in box_corners(found)) < 1e-6


def test_boxes_outside_the_picture_are_left_out_of_the_text() -> None:
    assert objects.spell([Thing((300, 300, 310, 310), "ship")], (200, 100)) == "none"
    with pytest.raises(DataError, match="5 numbers"):
        objects.to_box(Thing((1, 2, 3, 4, 5), "ship"))
