"""Counts as people and models write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoprose.answers.counts import read_count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("5", 5),
        ("There are 5 ships.", 5),
        ("Twenty-one planes", 21),
        ("thirty", 30),
        ("1,234 buildings", 1234),
        ("No ships", 0),
        ("There are no ships.", 0),
        ("none", 0),
        ("zero", 0),
        ("5 (five)", 5),
        ("3 ships and 2 planes", None),
        ("between 10 and 100", None),
        ("-3", None),
        ("many", None),
        ("", None),
        ("P0003 shows ships", None),
        ("nan", None),
    ],
)
def test_read_count(text: str, count: float | None) -> None:
    assert read_count(text) == count


def test_first_number() -> None:
    assert read_count("3 ships and 2 planes", "first") == 3
    assert read_count("two of 9", "first") == 2


@given(st.integers(0, 10**7))
def test_any_number_with_separators(number: int) -> None:
    assert read_count(f"about {number:,} trees") == number
    assert read_count(str(number)) == number
