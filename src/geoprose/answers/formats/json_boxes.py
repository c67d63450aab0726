"""The grammar of JSON objects: ``[{"bbox_2d": [x1, y1, x2, y2], "label": "ship"}]``."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geoprose.answers.grammar import RawBox, WrittenBox

if TYPE_CHECKING:
    from collections.abc import Sequence

# Possessive: no backtracking, so the time grows with the length of the text only.
_OBJECT = re.compile(r'\{(?:[^{}"]|"(?:[^"\\]|\\.)*+")*+\}', re.DOTALL)


@dataclass(frozen=True)
class JsonGrammar:
    """Flat JSON objects, in a list or a code fence or alone, with the numbers under one key or under four.

    Attributes:
        keys: One key that holds a list of numbers, or four keys that hold one number each.
        label_key: Key of the label.
    """

    keys: tuple[str, ...]
    label_key: str = "label"

    def scan(self, text: str) -> list[RawBox]:
        """Return every object that holds the key, and the key alone where the object is broken."""
        found: list[RawBox] = []
        covered = 0
        marker = re.compile(re.escape(self.keys[0]))
        for match in _OBJECT.finditer(text):
            found += self._broken(marker, text, covered, match.start())
            covered = match.end()
            if self.keys[0] in match.group():
                found.append(self._read(match.group(), match.span()))
        return found + self._broken(marker, text, covered, len(text))

    @staticmethod
    def _broken(marker: re.Pattern[str], text: str, start: int, end: int) -> list[RawBox]:
        return [RawBox((), "", match.span()) for match in marker.finditer(text, start, end)]

    def _read(self, source: str, span: tuple[int, int]) -> RawBox:
        try:
            value = json.loads(source)
        except (ValueError, RecursionError):
            return RawBox((), "", span)
        numbers = value.get(self.keys[0]) if len(self.keys) == 1 else [value.get(key) for key in self.keys]
        label = value.get(self.label_key, "")
        if not isinstance(numbers, list) or not numbers:
            return RawBox((), "", span)
        return RawBox(tuple(str(number) for number in numbers), label if isinstance(label, str) else "", span)

    def write(self, boxes: Sequence[WrittenBox]) -> str:
        """Spell the boxes as one JSON list."""
        return "[" + ", ".join(self._write_one(box) for box in boxes) + "]"

    def _write_one(self, box: WrittenBox) -> str:
        if len(self.keys) == 1:
            fields = [f'"{self.keys[0]}": [{", ".join(box.numbers)}]']
        else:
            fields = [f'"{key}": {number}' for key, number in zip(self.keys, box.numbers, strict=True)]
        if box.label:
            fields.append(f'"{self.label_key}": {json.dumps(box.label, ensure_ascii=False)}')
        return "{" + ", ".join(fields) + "}"
