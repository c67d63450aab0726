"""Connected regions of a class in a tile, and the questions that ask for a box around the largest one."""

# N tiles, H, W rows and columns of a tile

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoprose.data.world import wording
from geoprose.data.world.balance import Candidate
from geoprose.data.world.classes import NAMES
from geoprose.data.world.margins import Margins
from geoprose.data.world.tiles import TileFacts

BATCH = 512
"""Tiles labelled at a time; bounds memory at about 60 MB."""


@dataclass(frozen=True)
class Region:
    """A set of pixels of one class that touch by their edges.

    Attributes:
        area_px: Number of pixels.
        box_px: ``(x_min, y_min, x_max, y_max)``, edges.
    """

    area_px: int
    box_px: tuple[int, int, int, int]


def component_ids(labels_NHW: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Give every pixel the index of the first pixel of its 4-connected region within its tile.

    The smallest index spreads along the runs of equal labels, rows and columns in turn, until nothing changes. All
    tiles go through together, since one tile is too small to pay for a numpy call.

    Shapes:
        Takes and returns ``(N, H, W)``; ids are unique over the whole batch.
    """
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


def largest_regions(labels_HW: NDArray[np.uint8], ids_HW: NDArray[np.int32], index: int) -> list[Region]:
    """Return the two largest regions of class ``index``, the larger first; equal ones from the north-west."""
    ids, areas = np.unique(ids_HW[labels_HW == index], return_counts=True)
    order = np.argsort(-areas, kind="stable")[:2]
    return [Region(int(areas[rank]), _box_of(ids_HW == ids[rank])) for rank in order]


def _box_of(mask_HW: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask_HW.any(axis=1)), np.flatnonzero(mask_HW.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def box(survey: Sequence[TileFacts], margins: Margins) -> Iterator[Candidate]:
    """Ask for the box of the largest region of a class, where it is clearly the largest and not the whole tile."""
    for start in range(0, len(survey), BATCH):
        batch = survey[start : start + BATCH]
        ids_NHW = component_ids(np.stack([facts.labels_HW for facts in batch]))
        for facts, ids_HW in zip(batch, ids_NHW, strict=True):
            yield from _boxes_of_tile(facts, ids_HW, margins)


def _boxes_of_tile(facts: TileFacts, ids_HW: NDArray[np.int32], margins: Margins) -> Iterator[Candidate]:
    pixels = facts.labels_HW.size
    for index in np.flatnonzero(facts.fractions_C >= margins.box_min).tolist():
        regions = largest_regions(facts.labels_HW, ids_HW, index)
        second_px = regions[1].area_px if len(regions) > 1 else 0
        area_px = regions[0].area_px
        is_clear = area_px >= margins.box_lead * second_px
        if is_clear and margins.box_min * pixels <= area_px <= margins.box_max * pixels:
            yield _box_candidate(facts, NAMES[index], regions[0].box_px)


def _box_candidate(facts: TileFacts, name: str, box_px: tuple[int, int, int, int]) -> Candidate:
    side = facts.tile.side_px
    answer = wording.box_answer(box_px, side)
    question = wording.QUESTIONS["box"].format(a=name)
    x_min, y_min, x_max, y_max = box_px
    # No two boxes are equal, so the quarter that holds the centre is what a wording must not give away.
    stratum = ("north" if y_min + y_max < side else "south") + ("west" if x_min + x_max < side else "east")
    return Candidate("box", question, answer, (answer,), (facts,), stratum=stratum, box_px=box_px)
