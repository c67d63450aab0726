"""The words of the questions and answers, as data."""

from __future__ import annotations

QUESTIONS: dict[str, str] = {
    "presence": "Is there {a}?",
    "dominant": "What covers most of the image?",
    "comparison": "Is there more {a} or more {b}?",
    "location": "Where is most of the {a}?",
    "amount": "How much of the image is {a}?",
    "list": "Which land covers are in the image?",
    "two_tile": "Which image has more {a}?",
    "box": "Give the box of the largest area of {a}.",
    "caption": "Describe the image.",
}
YES, NO = "yes", "no"
FIRST, SECOND = "first", "second"
DIRECTIONS: tuple[str, ...] = ("north", "south", "west", "east")
"""Halves of the tile, in the order that `geoprose.data.world.single` measures them."""
AMOUNTS: tuple[tuple[float, float, str], ...] = (
    (0.0, 0.25, "little"),
    (0.25, 0.5, "some"),
    (0.5, 0.75, "much"),
    (0.75, 1.0, "most"),
)
"""Bins of the share of the area: lower edge, upper edge, word."""


def box_answer(box_px: tuple[int, int, int, int], side_px: int) -> str:
    """Write a box in thousandths of the tile's side."""
    return "[" + ", ".join(str(round(1000 * value / side_px)) for value in box_px) + "]"
