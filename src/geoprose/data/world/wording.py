"""The words of the questions and answers, as data.

Short on purpose: a small language model spends its few training steps on what it sees, not on how the question is put.
Places and boxes are asked for without a question mark, so that the class is the last word before the answer: the model
can then look for that class among the visual tokens.
"""

from __future__ import annotations

QUESTIONS: dict[str, str] = {
    "presence": "Any {a}?",
    "dominant": "Main cover?",
    "comparison": "More {a} or {b}?",
    "location": "Locate {a}",
    "amount": "How much {a}?",
    "list": "List covers.",
    "two_tile": "Which has more {a}?",
    "box": "Box {a}",
    "caption": "Describe.",
}
YES, NO = "yes", "no"
FIRST, SECOND = "first", "second"
NORTH, SOUTH, EAST, WEST = "north", "south", "east", "west"
AMOUNTS: tuple[tuple[float, float, str], ...] = (
    (0.03, 0.14, "little"),
    (0.20, 0.40, "some"),
    (0.50, 0.80, "most"),
    (0.90, 1.00, "all"),
)
"""Share of the area from, to, both included, and its word; the gaps between are unclear."""
MIDDLE = "middle"
"""Where a box lies that leans to no side."""
BOX_ANSWER = "{side} {digits}"
"""The side first: it is easier to see than the edges, and narrows them down. Only the digits are scored."""
LIST_SEPARATOR = ", "
CAPTION_ALONE = "All {a}."
CAPTION_PLACED = "Mostly {a}, {b} in the {direction}."
CAPTION_MIXED = "Mostly {a}, some {b}."
CAPTION_WORDS = ("all", "mostly", "some", NORTH, SOUTH, EAST, WEST)
"""Words of a caption that carry meaning, beside the class names."""

BOX_CODEC = "digits"
"""Four digits, eighths of the side: boxes lie on a grid of sixteenths, so little is lost, and a box is four tokens."""
