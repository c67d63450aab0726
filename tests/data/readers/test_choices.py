from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoprose.core.errors import DataError
from geoprose.data.readers.choices import (
    LETTERS,
    ask_choice,
    option_columns,
    place_of,
    split_options,
    without_letters,
)
from geoprose.data.readers.picture import Picture

PICTURE = Picture("7", ("a.png",), "test")


@pytest.mark.parametrize(("right", "place"), [("B", 1), (" (b). ", 1), (0, 0), ("C", 2)])
def test_right_answers_are_the_letter_and_the_text(right: Any, place: int) -> None:
    sample = ask_choice(PICTURE, "Which?", ["red", "green", "blue"], right, "row 0", category="colour")
    assert sample.meta["answers"] == ["ABC"[place], ("red", "green", "blue")[place]]
    assert (sample.meta["answer_index"], sample.meta["category"], sample.task) == (place, "colour", "choice")


@pytest.mark.parametrize("right", ["D", "", "?", "AB", 3, -1, None, True])
def test_a_right_answer_that_is_no_option_is_refused(right: Any) -> None:
    with pytest.raises(DataError, match=r"row 0.*none of the 3 options"):
        ask_choice(PICTURE, "Which?", ["red", "green", "blue"], right, "row 0")


@pytest.mark.parametrize("options", [[], ["one"], ["x"] * 27])
def test_a_choice_has_2_to_26_options(options: list[str]) -> None:
    with pytest.raises(DataError, match=f"has {len(options)} options"):
        ask_choice(PICTURE, "Which?", options, "A", "row 0")


def test_option_columns_end_at_the_first_empty_one() -> None:
    assert option_columns({"A": "x", "B": " y ", "C": "", "D": "z"}) == ["x", "y"]
    assert option_columns({"A": "x", "B": "nan", "C": "z"}) == ["x"]
    assert option_columns({"question": "?"}) == []


def test_letters_are_taken_off_only_where_each_option_has_its_own() -> None:
    assert without_letters(["A. One.", "(B) Two", "C: Three"]) == ["One.", "Two", "Three"]
    assert without_letters(["A. One", "A. Two"]) == ["A. One", "A. Two"]
    assert without_letters(["A. Lincoln", "G. Washington"]) == ["A. Lincoln", "G. Washington"]


@given(st.lists(st.text("abc d", min_size=1).map(str.strip).filter(bool), min_size=2, max_size=6))
def test_options_in_a_question_are_found_again(options: list[str]) -> None:
    lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False)]
    assert split_options("Where\nis it?\n\n" + "\n".join(lines)) == ("Where\nis it?", options)


def test_questions_without_options_stay() -> None:
    for question in ("How many?", "A. Lincoln was who?", "List:\nA. one", "Why\nB. x\nC. y"):
        assert split_options(question) == (question, [])


def test_places_of_letters() -> None:
    assert [place_of(letter) for letter in ("A", "z", "(C)", "", "AA", "1")] == [0, 25, 2, -1, -1, -1]
