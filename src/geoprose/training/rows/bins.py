"""Which conversations share a packed row: first-fit decreasing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.data.collator import Row, join

if TYPE_CHECKING:
    from collections.abc import Sequence


def first_fit_decreasing(lengths: Sequence[int], capacity: int) -> list[list[int]]:
    """Return the places of ``lengths`` that go into each bin: longest first, each into the first bin with room.

    An item that is longer than ``capacity`` gets a bin of its own. At most 11/9 of the least number of bins, and 6/9 of
    one more, are used.

    Source:
        Johnson, Near-optimal bin packing algorithms, 1973; the bound: Dosa, 2007.
    """
    bins: list[list[int]] = []
    room: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        length = lengths[place]
        number = next((number for number, left in enumerate(room) if left >= length), None)
        if number is None:
            bins.append([place])
            room.append(max(0, capacity - length))
        else:
            bins[number].append(place)
            room[number] -= length
    return bins


def fill_rows(rows: Sequence[Row], capacity: int) -> list[Row]:
    """Lay rows behind each other, each into the newest row while it has room.

    Bins of ``first_fit_decreasing`` that come one after the other, in the order in which they were opened, become these
    rows again: what opened a bin had no room in an earlier one.
    """
    groups: list[list[Row]] = []
    length = 0
    for row in rows:
        if not groups or length + len(row.input_ids) > capacity:
            groups.append([])
            length = 0
        groups[-1].append(row)
        length += len(row.input_ids)
    return [join(group) for group in groups]
