"""A sentence about a tile of the world, made from its land cover alone: what covers it, and where the rest lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geoprose.data.world.classes import NAMES
from geoprose.data.world.tiles import GRID

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

NAMED = 0.08
"""A class that covers less of the tile is not named."""
WORDS = ((0.5, "mostly "), (0.2, ""), (NAMED, "some "))
"""Smallest share of the area and the word for it; nothing stands before a class that covers from 20 to 50 %."""
CORNERS = ("north-west", "north-east", "south-west", "south-east")
SIDES = {
    frozenset(CORNERS[:2]): "north",
    frozenset(CORNERS[2:]): "south",
    frozenset(CORNERS[::2]): "west",
    frozenset(CORNERS[1::2]): "east",
}


def land_cover_caption(cells: Sequence[Mapping[str, float]]) -> str:
    """Describe a tile.

    Args:
        cells: Share of each class in each cell of a ``GRID`` by ``GRID`` tile, row by row from the north-west.

    Returns:
        Such as ``"mostly water, some ice and some grass, ice in the south"``: the classes by area, then every class but
        the largest where it leads a quarter of the tile.

    Source:
        The captions of ChatEarthNet, arXiv:2402.11325, are likewise written from land cover, whole and by region.
    """
    shares_GGC = shares_of(cells)
    whole_C = shares_GGC.mean((0, 1))
    order = [int(index) for index in np.argsort(-whole_C, kind="stable") if whole_C[index] >= NAMED]
    named = [_amount(float(whole_C[index])) + NAMES[index] for index in order]
    half = GRID // 2
    quarters_4C = shares_GGC.reshape(2, half, 2, half, -1).mean((1, 3)).reshape(4, -1)
    leads = [int(index) for index in quarters_4C.argmax(1)]
    corners = {index: [CORNERS[place] for place, lead in enumerate(leads) if lead == index] for index in leads}
    placed = [f"{NAMES[index]} in the {_place(corners[index])}" for index in order[1:] if index in corners]
    return ", ".join([_joined(named), *([_joined(placed)] if placed else [])])


def shares_of(cells: Sequence[Mapping[str, float]]) -> NDArray[np.float64]:
    """Return the shares as an array (GRID, GRID, classes), row 0 in the north."""
    rows = [[float(cell.get(name, 0.0)) for name in NAMES] for cell in cells]
    return np.array(rows, dtype=np.float64).reshape(GRID, GRID, len(NAMES))


def _amount(share: float) -> str:
    return next(word for least, word in WORDS if share >= least)


def _place(corners: Sequence[str]) -> str:
    return SIDES.get(frozenset(corners)) or _joined(corners)


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
