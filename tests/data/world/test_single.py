from __future__ import annotations

import numpy as np
import pytest

from geoprose.data.world import single
from geoprose.data.world.classes import NAMES, class_index
from geoprose.data.world.margins import Margins
from geoprose.data.world.tiles import Tile, TileFacts, facts_of

MARGINS = Margins()
SIDE = 64


def _columns(**widths: int) -> TileFacts:
    """A tile of upright stripes from west to east: class name to width in pixels; the rest is grass."""
    labels = np.full((SIDE, SIDE), class_index("grass"), np.uint8)
    start = 0
    for name, width in widths.items():
        labels[:, start : start + width] = class_index(name)
        start += width
    return facts_of(Tile(0, 0, SIDE, ""), labels)


def _mixed(**rows: float) -> TileFacts:
    """A tile whose classes have given shares of the area (multiples of 1/4096), row by row; the rest is grass."""
    labels = np.full(SIDE * SIDE, class_index("grass"), np.uint8)
    start = 0
    for name, share in rows.items():
        stop = start + round(share * SIDE * SIDE)
        labels[start:stop] = class_index(name)
        start = stop
    return facts_of(Tile(0, 0, SIDE, ""), labels.reshape(SIDE, SIDE))


def _asked(rule, facts: TileFacts) -> dict[str, str]:
    return {candidate.question: candidate.answer for candidate in rule(facts, MARGINS)}


def test_presence_skips_a_class_that_covers_a_little():
    answers = _asked(single.presence, _mixed(water=0.1, forest=0.05))
    assert answers["Any water?"] == answers["Any grass?"] == "yes"
    assert answers["Any ice?"] == "no"
    assert "Any forest?" not in answers


@pytest.mark.parametrize(
    ("shares", "answer"),
    [({"water": 0.6}, "water"), ({"water": 0.45}, None), ({"water": 0.3, "forest": 0.3, "ice": 0.2}, None)],
)
def test_dominant_needs_a_clear_lead_and_a_large_share(shares, answer):
    assert _asked(single.dominant, _mixed(**shares)).get("Main cover?") == answer


def test_comparison_is_asked_in_both_orders_with_one_answer():
    answers = _asked(single.comparison, _mixed(water=0.3, forest=0.05))
    assert answers["More water or forest?"] == answers["More forest or water?"] == "water"
    assert answers["More water or grass?"] == "grass"


def test_comparison_skips_near_ties_and_specks():
    answers = _asked(single.comparison, _mixed(water=0.3, forest=0.2, ice=0.02))
    assert "More water or forest?" not in answers
    assert "More water or ice?" not in answers


@pytest.mark.parametrize(("turn", "direction"), [(0, "west"), (1, "south"), (2, "east"), (3, "north"), (4, "east")])
def test_location_follows_the_class_around_the_tile(turn, direction):
    labels = np.rot90(_columns(water=16).labels_HW, turn)
    if turn == 4:
        labels = labels[:, ::-1]
    facts = facts_of(Tile(0, 0, SIDE, ""), np.ascontiguousarray(labels))
    assert _asked(single.location, facts)["Locate water"] == direction


def test_location_skips_corners_and_centres():
    corner = np.full((SIDE, SIDE), class_index("grass"), np.uint8)
    corner[:24, :24] = class_index("water")
    centre = np.full((SIDE, SIDE), class_index("grass"), np.uint8)
    centre[16:48, 16:48] = class_index("water")
    for labels in (corner, centre):
        assert "Locate water" not in _asked(single.location, facts_of(Tile(0, 0, SIDE, ""), labels))


def test_location_skips_what_covers_almost_everything():
    assert "Locate grass" not in _asked(single.location, _columns(water=16))  # grass covers three quarters


@pytest.mark.parametrize(
    ("share", "word"),
    [
        (0.02, None),
        (0.05, "little"),
        (0.17, None),
        (0.3, "some"),
        (0.45, None),
        (0.6, "most"),
        (0.85, None),
        (0.95, "all"),
    ],
)
def test_amounts_between_two_words_are_skipped(share, word):
    assert _asked(single.amount, _mixed(water=share)).get("How much water?") == word


def test_a_list_names_every_class_in_the_fixed_order():
    assert _asked(single.listing, _mixed(ice=0.2, water=0.2)) == {"List covers.": "water, grass, ice"}


def test_no_list_is_asked_for_when_a_class_is_in_doubt():
    assert _asked(single.listing, _mixed(ice=0.1, water=0.2)) == {}


@pytest.mark.parametrize(
    ("facts", "answer"),
    [
        (_columns(water=1), "All grass."),
        (_columns(water=16), "Mostly grass, water in the west."),
        (_columns(water=4), None),
        (_columns(water=30), None),
    ],
)
def test_captions_say_only_what_is_clear(facts, answer):
    assert _asked(single.caption, facts).get("Describe.") == answer


def test_a_caption_without_a_clear_place_says_some():
    labels = np.full((SIDE, SIDE), class_index("grass"), np.uint8)
    labels[16:48, 16:48] = class_index("water")
    assert _asked(single.caption, facts_of(Tile(0, 0, SIDE, ""), labels)) == {"Describe.": "Mostly grass, some water."}


def test_every_answer_is_true_of_the_labels():
    labels = np.random.default_rng(3).integers(0, len(NAMES), (8, 8)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    facts = facts_of(Tile(0, 0, SIDE, ""), labels)
    shares = dict(zip(NAMES, facts.fractions_C, strict=True))
    for candidate in single.comparison(facts, MARGINS):
        a, b = candidate.question.removeprefix("More ").removesuffix("?").split(" or ")
        assert candidate.answer == max((a, b), key=shares.__getitem__)
