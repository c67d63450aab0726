"""What a box looks like in text: the contract of a grammar and the pieces that grammars share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

ProblemKind = Literal["unreadable", "count", "number", "range", "angle", "order", "empty"]

NUMBER = r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?"
"""One number as models write it."""

NUMBER_LIKE = rf"(?:{NUMBER}|[-+]?(?:nan|NaN|NAN|inf|Inf|INF|Infinity|null|None))"
"""A number, or a word that stands where a number belongs, so that it can be reported as such."""

SEPARATOR = r"(?:\s*,\s*|\s+)"
"""Between two numbers of a list: a comma or white space."""

MAX_FRAGMENT = 400
"""Longest text, in characters, that is still looked at as one box."""

MAX_LABEL = 200
"""Longest label, in characters, that is written."""

FIND_NUMBERS = re.compile(NUMBER_LIKE)


@dataclass(frozen=True)
class Problem:
    """One thing that could not be read, or was read with a reservation.

    Attributes:
        kind: ``unreadable`` (broken text), ``count``, ``number`` (not finite, or a word), ``range`` (over the scale),
            ``angle`` (over a full turn), ``order`` (corners reversed), ``empty`` (no area).
        message: One sentence.
    """

    kind: ProblemKind
    message: str


@dataclass(frozen=True)
class RawBox:
    """A fragment of text that looks like a box.

    Attributes:
        numbers: Its numbers as written; empty when the fragment is broken.
        label: The phrase the format ties to it.
        span: Characters of the text it was read from.
    """

    numbers: tuple[str, ...]
    label: str
    span: tuple[int, int]


@dataclass(frozen=True)
class WrittenBox:
    """A box ready to be spelt: numbers already on the scale of the format."""

    numbers: tuple[str, ...]
    label: str


class Grammar(Protocol):
    """How boxes and their labels are spelt; knows nothing of scales and pictures."""

    def scan(self, text: str) -> list[RawBox]:
        """Return every fragment that looks like a box, in order, broken ones without numbers."""

    def write(self, boxes: Sequence[WrittenBox]) -> str:
        """Spell the boxes."""


def clean_label(label: str, forbidden: str) -> str:
    """Replace the characters a format cannot carry inside a label by spaces, and collapse white space."""
    table = {ord(character): " " for character in forbidden}
    return " ".join(label.translate(table).split())[:MAX_LABEL].strip()


def group_by_label(boxes: Sequence[WrittenBox]) -> list[tuple[str, list[WrittenBox]]]:
    """Group neighbouring boxes that share a label."""
    groups: list[tuple[str, list[WrittenBox]]] = []
    for box in boxes:
        if groups and groups[-1][0] == box.label:
            groups[-1][1].append(box)
        else:
            groups.append((box.label, [box]))
    return groups
