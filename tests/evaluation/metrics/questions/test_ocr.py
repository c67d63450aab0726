"""Text in pictures: edit distance, ANLS and containment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoprose.evaluation.metrics.questions.ocr import FORMULA, anls, contains, edit_distance
from tests.evaluation.metrics.items import item, judge, score

WORDS = st.text(alphabet="abc ", max_size=8)


@pytest.mark.parametrize(("first", "second", "distance"), [("kitten", "sitting", 3), ("", "abc", 3), ("ab", "ab", 0)])
def test_edit_distance_by_hand(first: str, second: str, distance: int) -> None:
    assert edit_distance(first, second) == distance


@given(WORDS, WORDS, WORDS)
def test_edit_distance_is_a_distance(first: str, second: str, third: str) -> None:
    assert edit_distance(first, second) == edit_distance(second, first)
    assert (edit_distance(first, second) == 0) == (first == second)
    assert edit_distance(first, third) <= edit_distance(first, second) + edit_distance(second, third)


def test_anls_by_hand() -> None:
    assert anls("Hamburg  port", ["hamburg port"]) == 1.0
    assert anls("hamburk", ["hamburg", "bremen"]) == pytest.approx(6 / 7)
    assert anls("abcd", ["abxy"]) == 0.5
    assert anls("abcd", ["axyz"]) == 0.0  # below one half
    assert score("ocr", "anls", item("", "a")) == 0.0


def test_ocrbench_finds_a_number_inside_another() -> None:
    inside = item("built in 2012", "12")
    assert score("ocr", "ocrbench", inside) == 1.0
    assert score("ocr", "contained-words", inside) == 0.0
    assert score("ocr", "contained-words", item("It says Gate 12.", "gate 12")) == 1.0
    assert score("ocr", "contained-words", item("", "12")) == 0.0


def test_formulas_keep_their_case_and_lose_their_spaces() -> None:
    row = item("$ A + b $", "A+b", category=FORMULA)
    assert score("ocr", "contained-words", row) == 1.0
    assert score("ocr", "contained-words", item("$ a + b $", "A+b", category=FORMULA)) == 0.0


def test_categories_and_length() -> None:
    judged = judge("ocr", "ocrbench", item("abcd", "ab", category="x"), item("q", "z", category="y"))
    assert judged.corpus["macro_by_category"] == 0.5
    assert judged.judgements[0].extras["length_ratio"] == 2.0


@given(WORDS, WORDS)
def test_whole_words_are_contained(text: str, part: str) -> None:
    if contains(text, part, whole_words=True):
        assert contains(text, part, whole_words=False)
    assert not contains(text, "", whole_words=False)
