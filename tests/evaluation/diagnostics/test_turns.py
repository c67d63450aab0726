"""Turned samples: pixels, boxes, regions, texts and answers agree with each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoprose.answers.codecs import parse_answer
from geoprose.core.types import GeoRef, Message, Sample
from geoprose.evaluation.diagnostics.place import CannotMoveError, Scaling, moved
from geoprose.evaluation.diagnostics.turns import TURNS, turned

SIZE = (60, 40)


def _sample(question: str = "Where is the ship on the left?", answer: str = "top left", **meta: object) -> Sample:
    turns = (Message("user", f"<image>\n{question}"), Message("assistant", answer))
    return Sample("a", ("a.png",), turns, "place", meta={"size_px": list(SIZE), **meta})


def _ramp() -> np.ndarray:
    return np.arange(SIZE[0] * SIZE[1]).reshape(SIZE[1], SIZE[0])


@given(st.integers(0, 58), st.integers(0, 38), st.sampled_from(sorted(TURNS)))
def test_points_follow_the_pixels(x: int, y: int, name: str) -> None:
    turn, ramp = TURNS[name], _ramp()
    new_x, new_y = turn.point(x + 0.5, y + 0.5, SIZE)
    after = turn.picture(ramp)
    assert after.shape == turn.size(SIZE)[::-1]
    assert after[int(new_y), int(new_x)] == ramp[y, x]


@pytest.mark.parametrize("name", TURNS)
def test_boxes_and_regions_cover_the_same_pixels(name: str) -> None:
    turn, ramp = TURNS[name], _ramp()
    square = [10, 5, 30, 20]
    corners = [10, 5, 30, 5, 30, 20, 10, 20]
    found = turned(_sample(boxes=[square, corners], region=square, polygons=[corners]), turn, "geoprose")
    x1, y1, x2, y2 = (int(value) for value in found.meta["boxes"][0])
    assert set(turn.picture(ramp)[y1:y2, x1:x2].ravel()) == set(ramp[5:20, 10:30].ravel())
    assert found.meta["region"] == found.meta["boxes"][0]
    oriented = found.meta["boxes"][1]
    assert (min(oriented[0::2]), min(oriented[1::2]), max(oriented[0::2]), max(oriented[1::2])) == (x1, y1, x2, y2)
    assert found.meta["polygons"][0] == oriented
    assert tuple(found.meta["size_px"]) == turn.size(SIZE)


def test_boxes_in_texts_turn_with_the_words_around_them() -> None:
    sample = _sample("What is left of [250 250 500 500]?", "[0 0 500 250]", answers=["[0 0 500 250]", "on the right"])
    found = turned(sample, TURNS["rotate-90"], "geoprose")
    assert found.messages[0].text == "<image>\nWhat is bottom of [250 500 500 750]?"
    assert found.messages[1].text == "[0 500 250 1000]"
    assert found.meta["answers"] == ["[0 500 250 1000]", "on the top"]


def test_a_turned_box_stays_the_same_rectangle() -> None:
    sample = _sample("Where?", "[250 250 750 500 30]")
    found = turned(sample, TURNS["flip-left-right"], "geoprose")
    (before,), (after,) = (parse_answer(one.messages[1].text, "geoprose", SIZE).boxes for one in (sample, found))
    area = (before.x_max - before.x_min) * (before.y_max - before.y_min)
    assert (after.x_max - after.x_min) * (after.y_max - after.y_min) == pytest.approx(area, rel=0.1)
    assert abs(after.angle_deg) in (pytest.approx(30, abs=1.5), pytest.approx(60, abs=1.5))


def test_options_turn_in_their_places_and_stale_facts_go() -> None:
    sample = _sample(options=["left", "right", "center"], answer_index=0, phrase="left ship", cell_composition=[1])
    found = turned(sample, TURNS["rotate-180"], "geoprose")
    assert found.meta["options"] == ["right", "left", "center"]
    assert found.meta["answer_index"] == 0
    assert found.meta["phrase"] == "right ship"
    assert "cell_composition" not in found.meta


def test_what_cannot_be_turned_is_refused() -> None:
    with pytest.raises(CannotMoveError, match="clockwise"):
        turned(_sample("Is it turned clockwise?"), TURNS["rotate-90"], "geoprose")
    with pytest.raises(CannotMoveError, match="cannot be read"):
        turned(_sample("Where?", "[1 2 3]"), TURNS["rotate-90"], "geoprose")
    boxless = Sample("a", ("a.png",), _sample().messages, "place", meta={"boxes": [[1, 2, 3, 4]]})
    with pytest.raises(CannotMoveError, match=r"no meta\.size_px"):
        turned(boxless, TURNS["rotate-90"], "geoprose")


def test_smaller_pictures_have_smaller_boxes() -> None:
    found = moved(_sample(boxes=[[10, 4, 30, 20]], gsd_m=2), Scaling(2))
    assert found.meta["boxes"] == [[5, 2, 15, 10]]
    assert found.meta["size_px"] == [30, 20]


def test_a_georeference_gives_the_size() -> None:
    georef = GeoRef((1, 0, 0, 0, -1, 0), None, *SIZE)
    sample = Sample("a", ("a.png",), _sample().messages, "place", georefs=(georef,), meta={"boxes": [[0, 0, 30, 40]]})
    found = turned(sample, TURNS["rotate-180"], "geoprose")
    assert found.meta["boxes"] == [[30, 0, 60, 40]]
    assert found.georefs == ()
