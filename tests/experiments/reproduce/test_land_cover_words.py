"""Captions written from land cover: classes by area, and where the others lie."""

from __future__ import annotations

import pytest

from geoprose.experiments.reproduce.land_cover_words import land_cover_caption, shares_of


def _tile(rows: list[str]) -> list[dict[str, float]]:
    """Return the cells of a tile drawn with one letter a cell."""
    names = {"w": "water", "f": "forest", "g": "grass", "i": "ice"}
    return [{names[letter]: 1.0} for row in rows for letter in row]


@pytest.mark.parametrize(
    ("rows", "caption"),
    [
        (["wwww"] * 4, "mostly water"),
        (["ffff", "ffff", "wwww", "wwww"], "mostly water and mostly forest, forest in the north"),
        (["wwwg"] * 4, "mostly water and grass"),  # grass leads no quarter
        (["wwgg", "wwgg", "wwww", "wwww"], "mostly water and grass, grass in the north-east"),
        (
            ["wwgg", "wwgg", "ffww", "ffww"],
            "mostly water, forest and grass, forest in the south-west and grass in the north-east",
        ),
        (["ggww", "ggww", "wwgg", "wwgg"], "mostly water and mostly grass, grass in the north-west and south-east"),
        (["wwii", "wwww", "wwww", "wwww"], "mostly water and some ice"),
    ],
)
def test_a_tile_is_described_by_what_covers_it_and_where(rows: list[str], caption: str) -> None:
    assert land_cover_caption(_tile(rows)) == caption


def test_a_class_of_a_few_pixels_is_not_named() -> None:
    cells = [{"water": 0.93, "ice": 0.07}] * 16
    assert land_cover_caption(cells) == "mostly water"


def test_shares_lie_as_on_the_map() -> None:
    cells = _tile(["wfff", "ffff", "ffff", "fffg"])
    shares = shares_of(cells)
    assert shares.shape == (4, 4, 7)
    assert shares[0, 0, 0] == 1.0
    assert shares[3, 3, 3] == 1.0
    assert shares.sum() == 16
