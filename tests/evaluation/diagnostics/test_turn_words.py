"""Words for directions turn with the picture; what cannot be turned is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoprose.evaluation.diagnostics.place import CannotMoveError
from geoprose.evaluation.diagnostics.turn_words import turned_words
from geoprose.evaluation.diagnostics.turns import TURNS, Turn


def _turned(text: str, name: str) -> str:
    return turned_words(text, TURNS[name].direction)


@pytest.mark.parametrize(
    ("text", "rotated", "turned_over", "mirrored", "flipped"),
    [
        ("left", "bottom", "right", "right", "left"),
        ("The ship at the top.", "The ship at the left.", "The ship at the bottom.", "The ship at the top.",
         "The ship at the bottom."),
        ("north", "west", "south", "north", "south"),
        ("Northeast of it", "Northwest of it", "Southwest of it", "Northwest of it", "Southeast of it"),
        ("upper-left corner", "lower-left corner", "lower-right corner", "upper-right corner", "lower-left corner"),
        ("TOP RIGHT", "TOP LEFT", "BOTTOM LEFT", "TOP LEFT", "BOTTOM RIGHT"),
        ("left top", "left bottom", "right bottom", "right top", "left bottom"),
        ("the leftmost car", "the bottommost car", "the rightmost car", "the rightmost car", "the leftmost car"),
        ("north-western part", "south-western part", "south-eastern part", "north-eastern part", "south-western part"),
        ("a ship above the dock", "a ship to the left of the dock", "a ship below the dock", "a ship above the dock",
         "a ship below the dock"),
        ("the road runs horizontally", "the road runs vertically", "the road runs horizontally",
         "the road runs horizontally", "the road runs horizontally"),
        ("heading south", "heading east", "heading north", "heading south", "heading north"),
        ("Are there above 100 houses?",) + ("Are there above 100 houses?",) * 4,
        ("Is there water?",) + ("Is there water?",) * 4,
        ("the rooftop and the leftovers",) + ("the rooftop and the leftovers",) * 4,
    ],
)  # fmt: skip
def test_by_hand(text: str, rotated: str, turned_over: str, mirrored: str, flipped: str) -> None:
    names = ("rotate-90", "rotate-180", "flip-left-right", "flip-top-bottom")
    assert [_turned(text, name) for name in names] == [rotated, turned_over, mirrored, flipped]


@pytest.mark.parametrize(
    "text",
    ["a right angle", "on top of the roof", "The right answer", "the ship is left alone", "two rows of cars",
     "turn clockwise", "ships of the North Sea", "the NE corner", "at 45 degrees"],
)  # fmt: skip
def test_ambiguous_words_are_refused(text: str) -> None:
    with pytest.raises(CannotMoveError, match="cannot be turned"):
        _turned(text, "rotate-180")


WORDS = st.sampled_from(
    ["left", "Right", "top", "bottom", "north", "South", "upper left", "lower-right", "southeast", "northern",
     "westernmost", "a ship", "near", "topmost", "horizontal"]
)  # fmt: skip


@given(st.lists(WORDS, max_size=6), st.sampled_from(sorted(TURNS)))
def test_turning_back_gives_the_text_again(words: list[str], name: str) -> None:
    text = ", ".join(words)
    turn = TURNS[name]
    back = turn if turn.is_mirrored else Turn(-turn.quarters % 4)
    there = turned_words(text, turn.direction)
    assert turned_words(there, back.direction) == text


def test_nothing_happens_without_a_turn() -> None:
    assert turned_words("a right angle at the left", Turn(0).direction) == "a right angle at the left"
