"""Exact match and lists against values worked out by hand."""

from __future__ import annotations

import pytest

from geoprose.answers.normalise import normalise_answer, split_list
from geoprose.evaluation.metrics.base import Item
from geoprose.evaluation.metrics.labels.exact import ExactMatch
from geoprose.evaluation.metrics.labels.lists import ListF1, set_f1
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


def test_every_metric_of_the_table_can_be_made() -> None:
    for name in METRICS.names():
        metric = METRICS.get(name)()
        assert metric.name
        assert metric.judge([]).judgements == ()
