"""Connected regions of a class in a tile, and the questions that ask for a box around the largest one."""

# N tiles, H, W rows and columns of a tile, B blocks along a side

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geoprose.answers.codecs import format_boxes
from geoprose.core.types import Box
from geoprose.data.world import wording
from geoprose.data.world.balance import Candidate
from geoprose.data.world.classes import NAMES
from geoprose.data.world.single import direction_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from geoprose.data.world.margins import Margins
    from geoprose.data.world.tiles import TileFacts

BLOCKS = 16
"""Blocks along each side of a tile: regions are found on this grid, so that single pixels neither join nor cut them."""
BATCH = 512
"""Tiles labelled at a time; bounds memory."""


def component_ids(labels_NHW: NDArray[np.uint8] | NDArray[np.bool_]) -> NDArray[np.int32]:
    """Give every pixel the index of the first pixel of its 4-connected region within its tile.

    The smallest index spreads along the runs of equal labels, rows and columns in turn, until nothing changes. All
    tiles go through together, since one tile is too small to pay for a numpy call.

    Shapes:
        Takes and returns ``(N, H, W)``; ids are unique over the whole batch.
    """
    labels_NHW = labels_NHW.view(np.uint8)
    ids_NHW = np.arange(labels_NHW.size, dtype=np.int32).reshape(labels_NHW.shape)
    labels_NWH = np.ascontiguousarray(labels_NHW.swapaxes(1, 2))
    row_starts, column_starts = _run_starts(labels_NHW), _run_starts(labels_NWH)
    while True:
        ids_NWH = _spread(_spread(ids_NHW, row_starts).swapaxes(1, 2), column_starts)
        spread_NHW = np.ascontiguousarray(ids_NWH.swapaxes(1, 2))
        if np.array_equal(spread_NHW, ids_NHW):
            return ids_NHW
        ids_NHW = spread_NHW


def _run_starts(labels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the flat index of the first pixel of each run of equal labels along the last axis."""
    starts = np.ones(labels.shape, bool)
    starts[..., 1:] = labels[..., 1:] != labels[..., :-1]
    return np.flatnonzero(starts)


def _spread(ids: NDArray[np.int32], starts: NDArray[np.int64]) -> NDArray[np.int32]:
    """Replace every id by the smallest of its run."""
    flat = np.ascontiguousarray(ids).ravel()
    lengths = np.diff(starts, append=flat.size)
    spread: NDArray[np.int32] = np.repeat(np.minimum.reduceat(flat, starts), lengths).reshape(ids.shape)
    return spread


def box(survey: Sequence[TileFacts], margins: Margins) -> Iterator[Candidate]:
    """Ask for the box of the largest region of a class, where it is clearly the largest and not the whole tile."""
    for start in range(0, len(survey), BATCH):
        batch = survey[start : start + BATCH]
        labels_NHW = np.stack([facts.labels_HW for facts in batch])
        for index, name in enumerate(NAMES):
            blocks_NBB = blocks_of(labels_NHW == index)
            ids_NBB = component_ids(blocks_NBB)
            for facts, blocks_BB, ids_BB in zip(batch, blocks_NBB, ids_NBB, strict=True):
                region = clear_region(blocks_BB, ids_BB, margins)
                if region is not None:
                    yield _candidate(facts, name, region)


def blocks_of(mask_NHW: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Reduce masks to `BLOCKS` blocks a side; a block belongs to the class when at least half of it does."""
    num_tiles, height, width = mask_NHW.shape
    parts = mask_NHW.reshape(num_tiles, BLOCKS, height // BLOCKS, BLOCKS, width // BLOCKS)
    blocks: NDArray[np.bool_] = parts.mean(axis=(2, 4)) >= 0.5
    return blocks


@dataclass(frozen=True)
class Region:
    """The clearly largest region of a class.

    Attributes:
        box: ``(x_min, y_min, x_max, y_max)`` in shares of the tile's side.
        side: North, south, east, west or middle: where the region lies.
    """

    box: tuple[float, float, float, float]
    side: str


def clear_region(blocks_BB: NDArray[np.bool_], ids_BB: NDArray[np.int32], margins: Margins) -> Region | None:
    """Return the largest region of a mask of blocks, or None when no region is clear enough."""
    ids, sizes = np.unique(ids_BB[blocks_BB], return_counts=True)
    if not len(sizes) or sizes.max() < margins.box_blocks:
        return None
    order = np.argsort(-sizes, kind="stable")
    if len(sizes) > 1 and sizes[order[1]] > margins.box_second * sizes[order[0]]:
        return None
    region_BB = blocks_BB & (ids_BB == ids[order[0]])
    rows, columns = np.flatnonzero(region_BB.any(axis=1)), np.flatnonzero(region_BB.any(axis=0))
    edges = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    x_min, y_min, x_max, y_max = (int(edge) / BLOCKS for edge in edges)
    if (x_max - x_min) * (y_max - y_min) > margins.box_max:
        return None
    return Region((x_min, y_min, x_max, y_max), direction_of(region_BB, margins) or wording.MIDDLE)


def _candidate(facts: TileFacts, name: str, region: Region) -> Candidate:
    side_px = facts.tile.side_px
    x_min, y_min, x_max, y_max = (round(side_px * value) for value in region.box)
    digits = format_boxes([Box(x_min, y_min, x_max, y_max)], wording.BOX_CODEC, (side_px, side_px))
    answer = wording.BOX_ANSWER.format(side=region.side, digits=digits)
    question = wording.QUESTIONS["box"].format(a=name)
    # Boxes hardly repeat; what a wording must not give away is the quarter of the tile that holds the centre.
    quarter = ("south" if y_min + y_max > side_px else "north") + ("east" if x_min + x_max > side_px else "west")
    return Candidate("box", question, answer, (answer,), (facts,), box_px=(x_min, y_min, x_max, y_max), stratum=quarter)
