"""Reading boxes of both sides: formats, pixels, and everything odd named and counted."""

from __future__ import annotations

import math
from typing import Any

import pytest

from geoprose.answers.iou import iou_table
from geoprose.core.errors import ConfigError, TaskError
from geoprose.evaluation.metrics.base import Item
from geoprose.evaluation.metrics.boxes.boxes import problem_table, read_pair, to_outline

SIZE = (200, 100)


def _item(prediction: str, reference: str = "", codec: str = "geoprose", **meta: Any) -> Item:
    return Item("a", prediction, (reference,), size_px=SIZE, codec=codec, meta=meta)


def test_references_in_pixels_come_first() -> None:
    pair = read_pair(_item("[0 0 500 1000]", "[0 0 10 10]", boxes=[[0, 0, 100, 100]], box_labels=["ship"]))
    assert pair.reference[0].flat == (0, 0, 100, 100)
    assert pair.reference[0].label == "ship"
    assert iou_table(pair.predicted, pair.reference)[0, 0] == pytest.approx(1.0)


def test_two_formats() -> None:
    pair = read_pair(_item("{<0><0><50><80>}", "[0 0 500 800]", codec="geochat"))
    assert iou_table(pair.predicted, pair.reference)[0, 0] == pytest.approx(1.0)


def test_four_corners() -> None:
    assert to_outline([0, 0, 4, 0, 4, 2, 0, 2]).corners is None  # axis-aligned: plain arithmetic
    turned = to_outline([2, 0, 4, 2, 2, 4, 0, 2])
    assert turned.corners is not None
    assert turned.flat == (0, 0, 4, 4)


def test_oddities_of_references_are_counted() -> None:
    odd = read_pair(_item("[0 0 10 10]", boxes=[[50, 50, 10, 10], [0, 0, 0, 10], [0, 0, 300, 10], [0, 0, 9, 9]]))
    assert odd.reference[0].flat == (10, 10, 50, 50)
    table = problem_table([odd])
    assert set(table) == {"reference: order", "reference: empty", "reference: range"}
    assert table["reference: order"] == {
        "boxes": 1,
        "items": 1,
        "first": "a: box 0 has reversed corners; they are put in order.",
    }


def test_oddities_of_predictions_are_counted() -> None:
    reversed_, over, nan = (
        read_pair(_item(text, "[0 0 500 500]")) for text in ("[500 500 0 0]", "[0 0 1100 500]", "[0 0 nan 500]")
    )
    table = problem_table([reversed_, over, nan])
    assert {"prediction: order", "prediction: range", "prediction: number"} <= set(table)
    assert reversed_.predicted[0].flat == (0, 0, 100, 50)
    assert nan.predicted == ()


@pytest.mark.parametrize("bad", [[1, 2, 3], [0, 0, math.nan, 5], [0, 0, math.inf, 5], "0 0 5 5", ["0", 0, 5, 5]])
def test_a_broken_reference_is_refused(bad: Any) -> None:
    with pytest.raises(TaskError, match="Sample a: reference box 0"):
        read_pair(_item("[0 0 10 10]", boxes=[bad]))


def test_an_absent_reference_is_refused() -> None:
    with pytest.raises(TaskError, match=r"Sample a has no reference box.*meta\.boxes"):
        read_pair(_item("[0 0 10 10]", "a ship"))
    with pytest.raises(TaskError, match="one per box"):
        read_pair(_item("[0 0 10 10]", boxes=[[0, 0, 1, 1]], box_labels=["a", "b"]))
    with pytest.raises(TaskError, match="one flag per box"):
        read_pair(_item("[0 0 10 10]", boxes=[[0, 0, 1, 1]], difficult=[True, False]))
    with pytest.raises(TaskError, match="not a list"):
        read_pair(_item("[0 0 10 10]", boxes="0 0 1 1"))


def test_a_reference_that_cannot_be_read_stays_in_the_denominator() -> None:
    """EarthDial's released file has three whose numbers are far over the scale."""
    item = Item(
        "a", "[[1, 2, 30, 40, 0]]", ("[[73, -18, 78, 176, 48]]",), codec="earthdial", reference_codec="earthdial"
    )
    pair = read_pair(item)
    assert len(pair.reference) == 1
    assert iou_table(pair.predicted, pair.reference)[0, 0] == 0.0
    assert "reference: not read" in problem_table([pair])


def test_pixels_against_shares_need_the_size() -> None:
    item = Item("a", "[0 0 10 10]", ("",), meta={"boxes": [[0, 0, 5, 5]]})
    with pytest.raises(TaskError, match=r"meta\.size_px"):
        read_pair(item)


def test_confidences_stand_under_the_place_of_the_box() -> None:
    item = Item("a", "[0 0 10 10] [20 20 40 40]", ("[0 0 9 9]",), scores={"0": 0.3, "1": math.nan})
    pair = read_pair(item)
    assert [box.score for box in pair.predicted] == [0.3, -math.inf]
    assert problem_table([pair])["prediction: score"] == {
        **{"boxes": 1, "items": 1},
        "first": "a: box 1 has a score that is not a number; it is ranked last.",
    }


def test_unknown_reading() -> None:
    with pytest.raises(ConfigError, match="absolute"):
        read_pair(_item("", "[0 0 1 1]"), "pixels")  # type: ignore[arg-type]
