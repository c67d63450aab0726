"""Four digits, ``x1 y1 x2 y2`` without separators, each an eighth of the chip: ``2058``.

The fewest tokens a box can have: four where a tokenizer spells digits one by one, against 14 to 22 for the published
formats. For very small language models and coarse boxes: a corner is off by up to a sixteenth of the chip.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from geoprose.answers.codec import BoxCodec
from geoprose.answers.grammar import RawBox, WrittenBox

if TYPE_CHECKING:
    from collections.abc import Sequence

_ONLY_NUMBERS = re.compile(r"(?:[A-Za-z]{1,40}\s+)?[0-9]+(?:[\s,;]+[0-9]+)*[\s.]*")
_NUMBER = re.compile(r"[0-9]+")
_MAX_PLAIN_DIGITS = 2


class DigitsGrammar:
    """Groups of four digits, where the text holds nothing else but one word before them (``north 0084``).

    In a sentence a number is a number ("12 ships", "in 2019"), never a box. In a text of numbers alone a group of one
    or two digits is a count, and a group of three or of more than four is a broken box.
    """

    def scan(self, text: str) -> list[RawBox]:
        """Return the groups of digits that are boxes or broken ones."""
        if not _ONLY_NUMBERS.fullmatch(text.strip()):
            return []
        groups = [match for match in _NUMBER.finditer(text) if len(match.group()) > _MAX_PLAIN_DIGITS]
        return [RawBox(tuple(match.group()) if len(match.group()) == 4 else (), "", match.span()) for match in groups]

    def write(self, boxes: Sequence[WrittenBox]) -> str:
        """Spell the boxes; labels have no place."""
        return " ".join("".join(box.numbers) for box in boxes)


DIGITS = BoxCodec(
    name="digits",
    source="geoprose, shortest spelling for the demo system",
    grammar=DigitsGrammar(),
    scale=8.0,
)
