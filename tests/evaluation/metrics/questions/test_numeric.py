"""Numbers: how they are read, how far they may be off."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoprose.evaluation.metrics.questions.numeric import (
    is_within,
    mathvista_equal,
    read_number,
    relaxed_equal,
    to_float,
)
from tests.evaluation.metrics.items import item, judge, score


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12.0),
        ("about 0.5 m", 0.5),
        ("1,234,567", 1234567.0),
        ("-3.5e2", -350.0),
        (".25", 0.25),
        ("Twelve ships", 12.0),
        ("3 and again 3", 3.0),
        ("between 3 and 5", None),
        ("none", None),
        ("", None),
        ("nan", None),
    ],
)
def test_the_only_number_of_a_text(text: str, number: float | None) -> None:
    assert read_number(text) == number


@given(st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 3)))
def test_numbers_survive_their_text(number: float) -> None:
    assert read_number(f"It is {number:.3f} m.") == pytest.approx(number)


@given(st.floats(0.1, 1e4), st.floats(-0.2, 0.2))
def test_tolerance_is_relative(truth: float, error: float) -> None:
    if abs(abs(error) - 0.1) > 1e-6:
        assert is_within(truth * (1 + error), truth, 0.1) == (abs(error) < 0.1)


def test_a_truth_of_zero_must_be_met() -> None:
    assert is_within(0.0, 0.0, 0.05)
    assert not is_within(0.01, 0.0, 0.5)


@pytest.mark.parametrize(
    ("answer", "truth", "is_right"),
    [
        ("105", "100", True),
        ("105.1", "100", False),
        ("12%", "0.12", True),
        ("12", "12%", False),
        ("Ships", "ships", True),
        ("about 100", "100", False),
        ("0.0", "0", False),
        ("0", "0", True),
        ("nan", "1", False),
    ],
)
def test_relaxed_accuracy(answer: str, truth: str, is_right: bool) -> None:
    assert relaxed_equal(answer, truth) == is_right


def test_only_a_whole_finite_number_is_a_float() -> None:
    assert to_float("5%") == 0.05
    assert (to_float("inf"), to_float("nan"), to_float("5 m")) == (None, None, None)


@pytest.mark.parametrize(
    ("answer", "truth", "is_right"),
    [("14.7", "14", True), ("0.66", "0.7", True), ("0.64", "0.7", False), ("x", "1", False), ("1.004", "1.00", True)],
)
def test_mathvista_rounds_to_the_decimals_of_the_truth(answer: str, truth: str, is_right: bool) -> None:
    assert mathvista_equal(answer, truth) == is_right


def test_the_tolerance_of_a_question_comes_first() -> None:
    assert score("numeric", "tolerance", item("0.52 m", "0.5")) == 0.0
    assert score("numeric", "tolerance", item("0.52 m", "0.5", tolerance=0.05)) == 1.0
    assert score("numeric", "within-10-percent", item("0.52 m", "0.5")) == 1.0
    assert score("numeric", "relaxed", item("0.52 m", "0.5")) == 0.0  # not a number alone
    assert score("numeric", "relaxed", item("0.52", "0.5")) == 1.0
    assert score("numeric", "realworldqa", item("0.5.", "0.5")) == 1.0


def test_errors_say_how_many_answers_they_are_of() -> None:
    rows = [item("12", "10"), item("no idea", "10"), item("between 1 and 3", "2"), item("5", "0")]
    judged = judge("numeric", "tolerance", *rows)
    assert judged.corpus["with_number"] == 0.5
    assert judged.corpus["absolute_error"] == pytest.approx((2 + 5) / 2)
    assert judged.corpus["relative_error"] == pytest.approx(0.2)
    assert [judgement.is_parsed for judgement in judged.judgements] == [True, False, False, True]
    assert judge("numeric", "tolerance", item("?", "1")).corpus == {"with_number": 0.0}
