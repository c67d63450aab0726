"""Questions about two tiles of one split: which one has more of a class."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np

from geoprose.data.world import wording
from geoprose.data.world.balance import Candidate
from geoprose.data.world.classes import NAMES
from geoprose.data.world.margins import Margins
from geoprose.data.world.tiles import TileFacts

PARTNERS = 12
"""Partners tried per tile and class; enough for every quota, far fewer than all pairs."""


def two_tile(survey: Sequence[TileFacts], margins: Margins, seed: int) -> Iterator[Candidate]:
    """Pair tiles that clearly differ in a class; both answers come equally often, since either tile may come first."""
    shares = np.stack([facts.fractions_C for facts in survey])
    for index, name in enumerate(NAMES):
        holders = np.flatnonzero(shares[:, index] >= margins.present).tolist()
        for position in holders:
            for partner in _partners(position, len(survey), f"{seed}|{name}"):
                lead = shares[position, index] - shares[partner, index]
                if lead >= margins.pair_lead:
                    yield _pair(name, survey[position], survey[partner], wording.FIRST)
                    yield _pair(name, survey[partner], survey[position], wording.SECOND)


def _pair(name: str, first: TileFacts, second: TileFacts, answer: str) -> Candidate:
    return Candidate("two_tile", wording.QUESTIONS["two_tile"].format(a=name), answer, (answer,), (first, second))


def _partners(position: int, total: int, salt: str) -> list[int]:
    """Return up to `PARTNERS` other positions, drawn by a hash so that they depend on nothing but their arguments."""
    digest = hashlib.shake_256(f"{salt}|{position}".encode()).digest(4 * PARTNERS)
    drawn = {int.from_bytes(digest[start : start + 4], "big") % total for start in range(0, 4 * PARTNERS, 4)}
    return sorted(drawn - {position})
