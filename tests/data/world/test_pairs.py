from __future__ import annotations

import numpy as np

from geoprose.data.world.classes import class_index
from geoprose.data.world.margins import Margins
from geoprose.data.world.pairs import two_tile
from geoprose.data.world.tiles import Tile, TileFacts, facts_of


def _tiles(shares: list[float]) -> list[TileFacts]:
    tiles = []
    for number, share in enumerate(shares):
        labels = np.full(64 * 64, class_index("grass"), np.uint8)
        labels[: round(share * labels.size)] = class_index("water")
        tiles.append(facts_of(Tile(64 * number, 0, 64, str(number)), labels.reshape(64, 64)))
    return tiles


def test_the_answer_names_the_tile_with_more():
    pairs = list(two_tile(_tiles([0.1 * n for n in range(10)]), Margins(), seed=0))
    assert {candidate.answer for candidate in pairs} == {"first", "second"}
    for candidate in pairs:
        first, second = candidate.facts
        index = class_index(candidate.question.removeprefix("Which has more ").removesuffix("?"))
        lead = first.fractions_C[index] - second.fractions_C[index]
        assert abs(lead) >= Margins().pair_lead
        assert candidate.answer == ("first" if lead > 0 else "second")
        assert first.tile != second.tile


def test_tiles_that_hardly_differ_are_not_asked_about():
    assert list(two_tile(_tiles([0.5, 0.6, 0.45]), Margins(), seed=0)) == []


def test_pairs_depend_on_the_seed_only():
    tiles = _tiles([0.1 * n for n in range(10)])
    first = [candidate.key for candidate in two_tile(tiles, Margins(), seed=0)]
    assert [candidate.key for candidate in two_tile(tiles, Margins(), seed=0)] == first
    assert [candidate.key for candidate in two_tile(tiles, Margins(), seed=1)] != first
