"""Rules that make questions about one tile from its composition; unclear cases make none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

import numpy as np

from geoprose.data.world import wording
from geoprose.data.world.balance import Candidate
from geoprose.data.world.classes import NAMES
from geoprose.data.world.margins import Margins
from geoprose.data.world.tiles import GRID, TileFacts


def presence(facts: TileFacts, margins: Margins) -> Iterator[Candidate]:
    """Ask whether a class is there; classes that cover a little are not asked about."""
    for name, share in zip(NAMES, facts.fractions_C, strict=True):
        if share >= margins.present:
            yield _candidate("presence", wording.YES, facts, a=name)
        elif share <= margins.absent:
            yield _candidate("presence", wording.NO, facts, a=name)


def dominant(facts: TileFacts, margins: Margins) -> Iterator[Candidate]:
    """Ask for the class that covers most, where it leads clearly."""
    second, first = np.argsort(facts.fractions_C, kind="stable")[-2:]
    if facts.fractions_C[first] - facts.fractions_C[second] >= margins.dominant_lead:
        yield _candidate("dominant", NAMES[first], facts)


def comparison(facts: TileFacts, margins: Margins) -> Iterator[Candidate]:
    """Ask which of two classes, both there, covers more."""
    present = np.flatnonzero(facts.fractions_C >= margins.comparison_min)
    for a, b in combinations(present.tolist(), 2):
        lead = facts.fractions_C[a] - facts.fractions_C[b]
        if abs(lead) >= margins.comparison_lead:
            yield _candidate("comparison", NAMES[a if lead > 0 else b], facts, a=NAMES[a], b=NAMES[b])


def location(facts: TileFacts, margins: Margins) -> Iterator[Candidate]:
    """Ask in which half of the tile most of a class lies."""
    half = GRID // 2
    for index, name in enumerate(NAMES):
        share = facts.fractions_C[index]
        if not margins.location_min <= share <= margins.location_max:
            continue
        cells = facts.cells_GGC[..., index] / facts.cells_GGC[..., index].sum()
        north, west = cells[:half].sum(), cells[:, :half].sum()
        halves = np.array([north, 1 - north, west, 1 - west])
        order = np.argsort(halves, kind="stable")
        if halves[order[-1]] - halves[order[-2]] >= margins.location_lead:
            yield _candidate("location", wording.DIRECTIONS[order[-1]], facts, a=name)


def amount(facts: TileFacts, margins: Margins) -> Iterator[Candidate]:
    """Ask how much of the tile a class covers, away from the edges of the bins."""
    for name, share in zip(NAMES, facts.fractions_C, strict=True):
        for low, high, word in wording.AMOUNTS:
            above_low = share >= low + margins.amount_edge
            below_high = share <= high - margins.amount_edge or high == 1.0
            if above_low and below_high:
                yield _candidate("amount", word, facts, a=name)


def listing(facts: TileFacts, margins: Margins) -> Iterator[Candidate]:
    """Ask for every class that is there; tiles with a class that covers a little are not asked about."""
    shares = facts.fractions_C
    if np.any((shares > margins.absent) & (shares < margins.present)):
        return
    names = [NAMES[index] for index in np.flatnonzero(shares >= margins.present)]
    yield _candidate("list", ", ".join(names), facts)


def caption(facts: TileFacts, margins: Margins) -> Iterator[Candidate]:
    """Ask for a description: the largest class, what else is there, and where the second lies."""
    order = [index for index in np.argsort(-facts.fractions_C, kind="stable") if facts.fractions_C[index] >= margins.present]
    if not order or any(margins.absent < share < margins.present for share in facts.fractions_C):
        return
    rest = [NAMES[index] for index in order[1:]]
    text = f"mostly {NAMES[order[0]]}" + (f" with {' and '.join(rest)}" if rest else "")
    yield replace(_candidate("caption", text, facts), stratum=NAMES[order[0]])


def _candidate(task: str, answer: str, facts: TileFacts, **names: str) -> Candidate:
    return Candidate(task, wording.QUESTIONS[task].format(**names), answer, (answer,), (facts,))
