"""Exact match, lists and boxes against values worked out by hand."""

from __future__ import annotations

import math

import pytest

from geoprose.core.types import Box
from geoprose.evaluation.metrics.base import Item
from geoprose.evaluation.metrics.boxes import BoxAccuracy, iou, match_boxes
from geoprose.evaluation.metrics.exact import ExactMatch
from geoprose.evaluation.metrics.lists import ListF1, set_f1
from geoprose.evaluation.metrics.normalise import normalise_answer, split_list
from geoprose.evaluation.metrics.registry import METRICS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" The Water. ", "water"),
        ("Two ships!", "2 ships"),
        ("bottom-left", "bottom left"),
        ("3.5 km, 1,000 m", "3.5 km 1,000 m"),
        ("20%", "20%"),
        ("...", ""),
        ("a", ""),
    ],
)
def test_normalise(text: str, expected: str) -> None:
    assert normalise_answer(text) == expected


def test_split_list() -> None:
    assert split_list("Water, the forest and desert; water") == ["water", "forest", "desert"]
    assert split_list("sand") == ["sand"]  # "and" inside a word separates nothing
    assert split_list(" , ") == []


def _exact(prediction: str, *references: str, choices: tuple[str, ...] = ()) -> tuple[float, bool]:
    judged = ExactMatch().judge([Item("1", prediction, references, choices=frozenset(choices))]).judgements[0]
    return judged.score, judged.is_parsed


def test_exact_match_accepts_no_part_of_an_answer() -> None:
    assert _exact("Yes.", "yes") == (1.0, True)
    assert _exact("", "yes") == (0.0, False)
    assert _exact("unknown", "no", choices=("yes", "no")) == (0.0, False)
    assert _exact("yes", "no", choices=("yes", "no")) == (0.0, True)
    assert _exact("forests", "forest", "forests") == (1.0, True)


def test_list_f1_by_hand() -> None:
    assert set_f1({"a", "b", "c"}, {"b", "c", "d", "e"}) == pytest.approx(2 * 2 / 7)
    assert set_f1(set(), set()) == 1.0
    item = Item("1", "Forest, water, moon", ("water, forest",), choices=frozenset({"water", "forest", "ice"}))
    judged = ListF1().judge([item]).judgements[0]
    assert judged.score == pytest.approx(0.8)
    assert judged.extras["exact"] == 0.0
    nonsense = ListF1().judge([Item("1", "blah", ("water",), choices=frozenset({"water"}))]).judgements[0]
    assert (nonsense.score, nonsense.is_parsed) == (0.0, False)


def test_iou_by_hand_without_plus_one() -> None:
    assert iou(Box(0, 0, 2, 2), Box(1, 1, 3, 3)) == pytest.approx(1 / 7)
    assert iou(Box(0, 0, 1, 1), Box(1, 0, 2, 1)) == 0.0  # they touch; with "+ 1" they would not score 0
    assert iou(Box(0.1, 0.1, 0.2, 0.2), Box(0.5, 0.5, 0.9, 0.9)) == 0.0
    assert iou(Box(0, 0, 0, 0), Box(0, 0, 0, 0)) == 0.0


def test_iou_of_rotated_boxes() -> None:
    square, diamond = Box(0, 0, 2, 2), Box(0, 0, 2, 2, angle_deg=45)
    octagon = 8 * (math.sqrt(2) - 1)  # area common to a square of side 2 and itself turned by 45 degrees
    assert iou(square, diamond) == pytest.approx(octagon / (8 - octagon))
    assert iou(Box(0, 0, 4, 2, 90), Box(1, -1, 3, 3)) == pytest.approx(1.0)
    assert iou(Box(0, 0, 6, 2, 30), Box(0, 0, 6, 2, -30)) < 0.7  # the sense of the turn matters


def test_matching_is_one_to_one() -> None:
    truth = [Box(0, 0, 2, 2), Box(10, 0, 12, 2)]
    twice = match_boxes([Box(0, 0, 2, 2), Box(0, 0, 2, 2)], truth)
    assert twice.f1(0.5) == pytest.approx(0.5)
    assert twice.recall(0.5) == 0.5
    assert match_boxes([], truth).recall(0.5) == 0.0
    assert match_boxes([], []).f1(0.5) == 1.0


def _box(prediction: str, reference: str, codec: str = "geoprose") -> tuple[float, bool, dict[str, float]]:
    item = Item("1", prediction, (reference,), size_px=(64, 64), codec=codec)
    judged = BoxAccuracy().judge([item]).judgements[0]
    return judged.score, judged.is_parsed, dict(judged.extras)


def test_box_accuracy() -> None:
    score, is_parsed, extras = _box("[0 0 500 1000]", "[0 0 500 800]")
    assert (score, is_parsed) == (1.0, True)
    assert extras["mean_iou"] == pytest.approx(0.8)
    score, _, extras = _box("[0 0 500 300]", "[0 0 500 1000]")
    assert (score, extras["acc@0.25"]) == (0.0, 1.0)
    assert _box("in the north", "[0 0 500 800]")[:2] == (0.0, False)
    # the first box counts for a single target; the surplus costs F1
    score, _, extras = _box("[0 0 500 800] [600 600 700 700]", "[0 0 500 800]")
    assert (score, extras["f1@0.5"]) == (1.0, pytest.approx(2 / 3))


def test_predictions_and_references_may_be_in_two_formats() -> None:
    assert _box("{<0><0><50><80>}", "[0 0 500 800]", codec="geochat")[0] == 1.0


def test_every_metric_of_the_table_can_be_made() -> None:
    for name in METRICS.names():
        metric = METRICS.get(name)()
        assert metric.name
        assert metric.judge([]).judgements == ()
