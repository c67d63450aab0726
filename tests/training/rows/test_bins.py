"""First-fit decreasing and rows of several conversations."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from geoprose.data.collator import Row
from geoprose.training.rows.bins import fill_rows, first_fit_decreasing


def test_by_hand() -> None:
    # Longest first: 7 opens a bin, 5 another, 4 joins 5, 3 joins 7, 1 joins the second.
    assert first_fit_decreasing([4, 7, 1, 5, 3], 10) == [[1, 4], [3, 0, 2]]
    assert first_fit_decreasing([12, 3], 10) == [[0], [1]], "an item that is too long has a bin of its own"


@given(st.lists(st.integers(1, 30), max_size=60), st.integers(10, 40))
def test_bins_hold_everything_once_and_nothing_overflows(lengths: list[int], capacity: int) -> None:
    bins = first_fit_decreasing(lengths, capacity)
    assert sorted(place for members in bins for place in members) == list(range(len(lengths)))
    sums = [sum(lengths[place] for place in members) for members in bins]
    assert all(total <= capacity or len(members) == 1 for total, members in zip(sums, bins, strict=True))
    if all(length <= capacity for length in lengths):
        assert sum(2 * total <= capacity for total in sums) <= 1, "two half-empty bins would have been one"


@given(st.lists(st.integers(1, 30), min_size=1, max_size=60), st.integers(30, 60))
def test_rows_become_the_bins_again(lengths: list[int], capacity: int) -> None:
    bins = first_fit_decreasing(lengths, capacity)
    rows = [Row([place] * lengths[place], [-100] * lengths[place], list(range(lengths[place])), [0] * lengths[place])
            for members in bins for place in members]  # fmt: skip
    filled = fill_rows(rows, capacity)
    assert [list(dict.fromkeys(row.input_ids)) for row in filled] == bins
    for row in filled:
        starts = [place for place, position in enumerate(row.position_ids) if position == 0]
        assert len(starts) == max(row.sequences) + 1, "positions start anew in each conversation"
