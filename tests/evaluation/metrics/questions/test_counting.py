"""Counts as people and models write them, errors, RSVQA's buckets and VHM's ranges."""

from __future__ import annotations

import math

import pytest

from geoprose.core.errors import ConfigError, TaskError
from geoprose.evaluation.metrics.base import Item
from geoprose.evaluation.metrics.questions.counting import Counting, error_figures, range_of
from geoprose.evaluation.protocols import load_protocol


def _item(prediction: str, count: int | None = None, reference: str = "") -> Item:
    meta = {} if count is None else {"count": count}
    return Item("a", prediction, (reference,) if reference else (), meta=meta)  # type: ignore[arg-type]


def _mean(metric: Counting, items: list[Item]) -> float:
    return sum(judgement.score for judgement in metric.judge(items).judgements) / len(items)


ITEMS = [_item("4", 4), _item("seven", 5), _item("I cannot say", 10), _item("20", 16)]


def test_errors_by_hand() -> None:
    judged = Counting().judge(ITEMS)
    assert [judgement.score for judgement in judged.judgements] == [1, 0, 0, 0]
    assert [judgement.is_parsed for judgement in judged.judgements] == [True, True, False, True]
    assert judged.corpus == {
        "mae": pytest.approx((0 + 2 + 10 + 4) / 4),
        "rmse": pytest.approx(math.sqrt((4 + 100 + 16) / 4)),
        "unread": 0.25,
        "mape": pytest.approx((0 + 0.4 + 1 + 0.25) / 4),
        "mae_read": pytest.approx(2.0),
        "mape_read": pytest.approx(0.65 / 3),
    }
    assert judged.tables["ranges"] == {
        "(2,6]": {"n": 2, "score": 0.5, "unread": 0.0},
        "(6,12]": {"n": 1, "score": 0.0, "unread": 1.0},
        ">12": {"n": 1, "score": 0.0, "unread": 0.0},
    }


def test_refusing_lowers_the_published_error_and_not_the_default() -> None:
    protocol = load_protocol("counting")
    assert protocol.variants["mae-read-only"].fault
    guess, refuse = [ITEMS[0], _item("12", 16)], [ITEMS[0], _item("I cannot say", 16)]
    assert _mean(protocol.metric("mae-read-only"), refuse) < _mean(protocol.metric("mae-read-only"), guess)
    assert _mean(protocol.metric("mae"), refuse) > _mean(protocol.metric("mae"), guess)
    assert not protocol.metric("mae").is_accuracy


@pytest.mark.parametrize(
    ("answer", "truth", "score"),
    [
        ("10", 1, 1),
        ("11", 10, 0),
        ("0", 1, 0),
        ("none", 0, 1),
        ("1001", 5000, 1),
        ("between 10 and 100", 55, 1),
        ("?", 0, 0),
    ],
)
def test_rsvqa_buckets(answer: str, truth: int, score: float) -> None:
    judged = Counting(score="buckets").judge([_item(answer, truth)]).judgements[0]
    assert judged.score == score
    assert judged.truth
    assert judged.is_parsed == (answer != "?")


def test_ranges_of_vhm() -> None:
    assert [range_of(count) for count in (0, 1, 2, 3, 6, 7, 12, 13)] == [
        *("0", "(0,2]", "(0,2]", "(2,6]", "(2,6]", "(6,12]", "(6,12]", ">12"),
    ]


def test_truth_of_the_reference_text() -> None:
    assert _mean(Counting(), [_item("3", None, "three ships")]) == 1.0
    with pytest.raises(TaskError, match=r"meta\.count"):
        Counting().judge([_item("3", None, "several")])
    with pytest.raises(TaskError, match=r"meta\.count"):
        Counting().judge([_item("3")])


def test_error_figures_without_numbers() -> None:
    assert error_figures([None], [0.0]) == {"mae": 0.0, "rmse": 0.0, "unread": 1.0}


def test_options_are_checked() -> None:
    with pytest.raises(ConfigError, match="first"):
        Counting(numbers="last")  # type: ignore[arg-type]
