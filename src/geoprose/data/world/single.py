"""Rules that make questions about one tile from its labels; unclear cases make none."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

from geoprose.data.world import wording
from geoprose.data.world.balance import Candidate
from geoprose.data.world.classes import NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from geoprose.data.world.margins import Margins
    from geoprose.data.world.tiles import TileFacts


def presence(facts: TileFacts, margins: Margins) -> Iterator[Candidate]:
    """Ask whether a class is there; classes that cover a little are not asked about."""
    for name, share in zip(NAMES, facts.fractions_C, strict=True):
        if share >= margins.present:
            yield _candidate("presence", wording.YES, facts, a=name)
        elif share <= margins.absent:
            yield _candidate("presence", wording.NO, facts, a=name)


def dominant(facts: TileFacts, margins: Margins) -> Iterator[Candidate]:
    """Ask for the class that covers most, where it leads clearly."""
    first, second = _ranked(facts)[:2]
    share, lead = facts.fractions_C[first], facts.fractions_C[first] - facts.fractions_C[second]
    if share >= margins.main_min and lead >= margins.dominant_lead:
        yield _candidate("dominant", NAMES[first], facts)


def comparison(facts: TileFacts, margins: Margins) -> Iterator[Candidate]:
    """Ask which of two classes, both there, covers more; in both orders, so that order tells nothing."""
    present = np.flatnonzero(facts.fractions_C >= margins.comparison_min).tolist()
    for a, b in permutations(present, 2):
        lead = facts.fractions_C[a] - facts.fractions_C[b]
        if abs(lead) >= margins.comparison_lead:
            yield _candidate("comparison", NAMES[a if lead > 0 else b], facts, a=NAMES[a], b=NAMES[b])


def location(facts: TileFacts, margins: Margins) -> Iterator[Candidate]:
    """Ask on which side of the tile a class lies."""
    for index, name in enumerate(NAMES):
        if margins.location_min <= facts.fractions_C[index] <= margins.location_max:
            direction = direction_of(facts.labels_HW == index, margins)
            if direction is not None:
                yield _candidate("location", direction, facts, a=name)


def direction_of(mask_HW: NDArray[np.bool_], margins: Margins) -> str | None:
    """Return the side of the tile to which the centroid of a mask leans; None when it leans nowhere clearly."""
    rows, columns = np.nonzero(mask_HW)
    south = float((rows.mean() + 0.5) / mask_HW.shape[0] - 0.5)
    east = float((columns.mean() + 0.5) / mask_HW.shape[1] - 0.5)
    larger, smaller = max(abs(south), abs(east)), min(abs(south), abs(east))
    if larger < margins.location_offset or larger < margins.location_ratio * smaller:
        return None
    if abs(east) > abs(south):
        return wording.EAST if east > 0 else wording.WEST
    return wording.SOUTH if south > 0 else wording.NORTH


def amount(facts: TileFacts, margins: Margins) -> Iterator[Candidate]:
    """Ask how much of the tile a class covers; shares between two bins are not asked about."""
    for name, share in zip(NAMES, facts.fractions_C, strict=True):
        for low, high, word in wording.AMOUNTS:
            if low <= share <= high:
                yield _candidate("amount", word, facts, a=name)


def listing(facts: TileFacts, margins: Margins) -> Iterator[Candidate]:
    """Ask for every class that is there, in the order of `NAMES`."""
    shares_C = facts.fractions_C
    is_listed = shares_C >= margins.list_min
    if is_listed.any() and not np.any((shares_C > margins.list_unclear) & ~is_listed):
        names = [NAMES[index] for index in np.flatnonzero(is_listed)]
        yield _candidate("list", wording.LIST_SEPARATOR.join(names), facts)


def caption(facts: TileFacts, margins: Margins) -> Iterator[Candidate]:
    """Ask for a description: the main class, the second, and where the second lies if that is clear."""
    first, second = _ranked(facts)[:2]
    share, other = facts.fractions_C[first], facts.fractions_C[second]
    if share < margins.main_min or share - other < margins.caption_lead:
        return
    if other < margins.caption_alone:
        yield _candidate("caption", wording.CAPTION_ALONE.format(a=NAMES[first]), facts)
    elif other >= margins.present:
        direction = direction_of(facts.labels_HW == second, margins)
        text = wording.CAPTION_MIXED if direction is None else wording.CAPTION_PLACED
        yield _candidate("caption", text.format(a=NAMES[first], b=NAMES[second], direction=direction), facts)


def _ranked(facts: TileFacts) -> list[int]:
    """Return the classes from the largest to the smallest share; equal ones in the order of `NAMES`."""
    order: list[int] = np.argsort(-facts.fractions_C, kind="stable").tolist()
    return order


def _candidate(task: str, answer: str, facts: TileFacts, **names: str) -> Candidate:
    return Candidate(task, wording.QUESTIONS[task].format(**names), answer, (answer,), (facts,))
