"""Four digits, ``x1 y1 x2 y2`` without separators, each a ninth of the chip: ``2059``.

The fewest tokens a box can have: four where a tokenizer spells digits one by one, against 14 to 22 for the published
formats. For very small language models and coarse boxes: a corner is off by up to an eighteenth of the chip.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from geoprose.answers.codec import BoxCodec
from geoprose.answers.grammar import RawBox, WrittenBox

if TYPE_CHECKING:
    from collections.abc import Sequence

_NUMBER = re.compile(r"(?<![\w.])[0-9]+(?![\w]|\.[0-9])")


class DigitsGrammar:
    """Whole numbers that stand alone; four digits are a box, any other number is a broken one."""

    def scan(self, text: str) -> list[RawBox]:
        """Return every number that stands alone."""
        return [
            RawBox(tuple(match.group()) if len(match.group()) == 4 else (), "", match.span())
            for match in _NUMBER.finditer(text)
        ]

    def write(self, boxes: Sequence[WrittenBox]) -> str:
        """Spell the boxes; labels have no place."""
        return " ".join("".join(box.numbers) for box in boxes)


DIGITS = BoxCodec(
    name="digits",
    source="geoprose, shortest spelling for the demo system",
    grammar=DigitsGrammar(),
    scale=9.0,
)
