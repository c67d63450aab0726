"""The format of geoprose itself: ``water: [123 45 678 901]; forest: [3 4 50 60 30]``.

Whole numbers 0 to 1000 over the chip, corners of the unrotated box, then the angle counter-clockwise where the box is
rotated. Over the chip, not the tile or the padded input, so that a box survives re-tiling and a change of GSD.

Few tokens: a tokenizer that spells digits one by one (SmolLM2, Llama 2, Qwen2) spends 16 on ``[123 45 678 901]``
against 19 with ", ", 20 on GeoChat's braces (with an angle of two digits) and 22 on ``<box>(123,45),(678,901)</box>``.
No special token is needed, so any language model can write it. A colon marks the label, so that the words of a
sentence before a box are never taken for one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from geoprose.answers.angles import COUNTER_CLOCKWISE
from geoprose.answers.codec import BoxCodec
from geoprose.answers.formats.brackets import LIST_FRAGMENT
from geoprose.answers.grammar import FIND_NUMBERS, RawBox, WrittenBox, clean_label, group_by_label

if TYPE_CHECKING:
    from collections.abc import Sequence

_FRAGMENT = re.compile(LIST_FRAGMENT)
_LABEL = re.compile(r"([^\[\]:;\n]{1,200}):\s*\Z")


class HouseGrammar:
    """``label: [x1 y1 x2 y2] [..]; label: [..]``; commas between the numbers are read too."""

    def scan(self, text: str) -> list[RawBox]:
        """Return every bracketed list, with the label before its colon."""
        found: list[RawBox] = []
        label, previous_end = "", 0
        for match in _FRAGMENT.finditer(text):
            between = text[max(previous_end, match.start() - 300) : match.start()]
            named = _LABEL.search(between)
            if named:
                label = named.group(1).strip()
            elif between.strip() or not found:
                label = ""
            numbers = tuple(FIND_NUMBERS.findall(match.group("body") or ""))
            found.append(RawBox(numbers, label, match.span()))
            previous_end = match.end()
        return found

    def write(self, boxes: Sequence[WrittenBox]) -> str:
        """Spell the boxes; neighbours with the same label share it."""
        cleaned = [WrittenBox(box.numbers, clean_label(box.label, "[]:;")) for box in boxes]
        groups = []
        for label, members in group_by_label(cleaned):
            spelt = " ".join(f"[{' '.join(box.numbers)}]" for box in members)
            groups.append(f"{label}: {spelt}" if label else spelt)
        return "; ".join(groups)


GEOPROSE = BoxCodec(
    name="geoprose",
    source="geoprose, docs/adr: box grammar 0 to 1000 over the chip",
    grammar=HouseGrammar(),
    scale=1000.0,
    angle=COUNTER_CLOCKWISE,
)
