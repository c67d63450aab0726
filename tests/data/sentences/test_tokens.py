"""Words of captions: PTB's as the Java tokenizer gives them, and the simpler splits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoprose.data.sentences.tokens import PUNCTUATION, tokenise_13a, tokenise_caption, tokenise_spaces

# Every right-hand side is what the Java PTBTokenizer of pycocoevalcap 1.2 gave.
PTB = [
    ("Many planes are parked, next to a terminal.", "many planes are parked next to a terminal"),
    ("There isn't a car; it's a truck!", "there is n't a car it 's a truck"),
    ("A park (with trees) is near [a] road.", "a park -lrb- with trees -rrb- is near -lsb- a -rsb- road"),
    ("the U.S. border near St. Louis.", "the u.s. border near st. louis"),
    ('About 1,000 trees and 3.5 roads: "dense"', "about 1,000 trees and 3.5 roads dense"),
    ("gonna gotta lemme gimme wanna", "gon na got ta lem me gim me wan na"),
    ("I cannot see it", "i can not see it"),
    ("half-built high-rise red-roofed houses , 3-lane", "half-built high-rise red-roofed houses 3-lane"),
    ("1/2 of it and/or that", "1/2 of it and/or that"),
    ("2x3 5m 20th 3d 100m.", "2x3 5m 20th 3d 100m"),
    ("trees, i.e. plants, etc.", "trees i.e. plants etc."),
    ("the water\u2019s edge", "the water 's edge"),
    ("\u201cquoted\u201d dash\u2014here", "quoted dash here"),
    ("a building like p#q", "a building like p #q"),
    ("it's 5 o'clock near O'Brien's", "it 's 5 o'clock near o'brien 's"),
    ("end.start of word,word", "end.start of word word"),
    ("wait... what -- yes - no", "wait what yes no"),
    ("it?! yes!!", "it ?! yes !!"),
    ("in area A.", "in area a."),
    ("user@mail.com", "user@mail.com"),
    ("", ""),
    (" \n ", ""),
    ("...", ""),
]


@pytest.mark.parametrize(("text", "words"), PTB)
def test_ptb_words(text: str, words: str) -> None:
    assert tokenise_caption(text) == words.split()


@given(st.text(max_size=60))
def test_any_text_gives_words_without_spaces_and_dropped_signs(text: str) -> None:
    words = tokenise_caption(text)
    assert all(word and not word.isspace() and word not in PUNCTUATION for word in words)
    assert tokenise_caption(text) == words


def test_other_splits_keep_what_ptb_drops() -> None:
    assert tokenise_spaces("A red Car.") == ["a", "red", "car."]
    assert tokenise_13a('A "test": 3.5-inch &amp; no.') == [
        "A",
        '"',
        "test",
        '"',
        ":",
        "3.5",
        "-",
        "inch",
        "&",
        "no",
        ".",
    ]
