"""Questions about two tiles of one split: which one has more of a class."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from geoprose.data.world import wording
from geoprose.data.world.balance import Candidate
from geoprose.data.world.classes import NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from geoprose.data.world.margins import Margins
    from geoprose.data.world.tiles import TileFacts


def two_tile(survey: Sequence[TileFacts], margins: Margins, seed: int, partners: int = 2) -> Iterator[Candidate]:
    """Pair every tile with up to ``partners`` others and ask about every class in which the two clearly differ."""
    for position, facts in enumerate(survey):
        for partner in _partners(position, len(survey), seed, partners):
            other = survey[partner]
            lead_C = facts.fractions_C - other.fractions_C
            for index in np.flatnonzero(np.abs(lead_C) >= margins.pair_lead).tolist():
                question = wording.QUESTIONS["two_tile"].format(a=NAMES[index])
                answer = wording.FIRST if lead_C[index] > 0 else wording.SECOND
                yield Candidate("two_tile", question, answer, (answer,), (facts, other))


def _partners(position: int, total: int, seed: int, count: int) -> list[int]:
    """Return up to ``count`` other positions, drawn by a hash so that they depend on nothing but their arguments."""
    digest = hashlib.shake_256(f"{seed}|{position}".encode()).digest(4 * count)
    drawn = {int.from_bytes(digest[start : start + 4], "big") % total for start in range(0, 4 * count, 4)}
    return sorted(drawn - {position})
