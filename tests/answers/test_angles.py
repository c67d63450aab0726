"""Angle conventions: both directions, both zero points, and the exchange of sides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoprose.answers.angles import CLOCKWISE, COUNTER_CLOCKWISE, MIN_AREA_RECT, UNROTATED_AT_90, canonical_angle

CONVENTIONS = [CLOCKWISE, COUNTER_CLOCKWISE, MIN_AREA_RECT, UNROTATED_AT_90]


@pytest.mark.parametrize(
    ("convention", "written", "expected"),
    [
        (CLOCKWISE, 30, -30),
        (COUNTER_CLOCKWISE, 30, 30),
        (MIN_AREA_RECT, 90, 90),
        (UNROTATED_AT_90, 90, 0),
        (UNROTATED_AT_90, 120, -30),
        (CLOCKWISE, 350, 10),
        (CLOCKWISE, 180, 0),
    ],
)
def test_written_angles_mean_what_the_convention_says(convention, written, expected) -> None:
    assert convention.to_counter_clockwise(written) == expected


@pytest.mark.parametrize("convention", CONVENTIONS, ids=lambda convention: convention.name)
@given(angle=st.floats(-89.99, 90))
def test_writing_and_reading_give_the_same_rectangle(convention, angle) -> None:
    written, swap_sides = convention.from_counter_clockwise(angle)
    assert 0 <= written <= 180
    assert not swap_sides or convention.period_deg == 90
    back = convention.to_counter_clockwise(written) + (90 if swap_sides else 0)
    difference = abs(canonical_angle(back) - angle) % 180
    assert min(difference, 180 - difference) < 1e-6


def test_min_area_rect_writes_angles_below_90() -> None:
    assert MIN_AREA_RECT.from_counter_clockwise(-30) == (30, False)
    assert MIN_AREA_RECT.from_counter_clockwise(30) == (60, True)
