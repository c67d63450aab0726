"""RSVQA: buckets at their edges, and the means that reproduce published rows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoprose.evaluation.metrics.questions.rsvqa import bucket_answer, bucket_of, published_means
from tests.evaluation.metrics.items import item, judge, score
from tests.fixtures.rsvqa_published import PUBLISHED_ROWS

LR = {"presence": (2955, 92.59), "comp": (4002, 92.75), "rural_urban": (100, 94.00), "count": (2947, 27.69)}


@pytest.mark.parametrize(
    ("text", "bucket"),
    [
        ("0", "0"),
        ("1", "between 0 and 10"),
        ("10", "between 0 and 10"),
        ("11", "between 10 and 100"),
        ("100", "between 10 and 100"),
        ("1000", "between 100 and 1000"),
        ("1,001", "more than 1000"),
        ("Seven.", "between 0 and 10"),
        ("between 10 and 100", "between 10 and 100"),
        ("0m2", "0m2"),
        ("10 m2", "between 0m2 and 10m2"),
        ("1001m2", "more than 1000m2"),
        ("yes", "yes"),
        ("about 5", "about 5"),
    ],
)
def test_buckets(text: str, bucket: str) -> None:
    assert bucket_answer(text) == bucket


@given(st.integers(0, 5000), st.integers(0, 5000))
def test_buckets_are_in_order(first: int, second: int) -> None:
    order = [bucket_of(number) for number in (0, 1, 11, 101, 1001)]
    low, high = sorted((first, second))
    assert order.index(bucket_of(low)) <= order.index(bucket_of(high))


def test_a_count_may_be_right_in_its_bucket_only() -> None:
    rows = [item("5", "3"), item("3", "3"), item("0", "3"), item("", "3")]
    assert score("rsvqa", "buckets", *rows) == 0.5
    assert score("rsvqa", "exact", *rows) == 0.25
    assert [judgement.extras["exact"] for judgement in judge("rsvqa", "buckets", *rows).judgements] == [0, 1, 0, 0]


def test_the_same_answers_are_three_published_accuracies() -> None:
    means = published_means({name: (n, value / 100) for name, (n, value) in LR.items()})
    assert round(100 * means["moa_micro"], 2) == 92.70
    assert round(100 * means["moa_macro"], 2) == 93.11
    assert 100 * means["oa"] == pytest.approx(73.6, abs=0.06)  # the four accuracies above are rounded
    assert means["aa"] == pytest.approx((0.9259 + 0.9275 + 0.94 + 0.2769) / 4)


@pytest.mark.parametrize(("presence", "comparison", "rural", "published"), PUBLISHED_ROWS.values(), ids=PUBLISHED_ROWS)
def test_published_rows_are_the_micro_mean(presence: float, comparison: float, rural: float, published: float) -> None:
    rows = {"presence": (2955, presence), "comparison": (4002, comparison), "rural/urban": (100, rural)}
    means = published_means(rows)
    assert means["moa_micro"] == pytest.approx(published, abs=0.045)
    assert abs(means["moa_macro"] - published) > abs(means["moa_micro"] - published)


def test_no_types_are_no_error() -> None:
    assert published_means({}) == {"oa": 0.0, "aa": 0.0, "moa_micro": 0.0, "moa_macro": 0.0}
