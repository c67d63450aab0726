"""A grammar of fragments with a label in tags before them: braces, brackets and point pairs are instances."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from geoprose.answers.grammar import FIND_NUMBERS, RawBox, WrittenBox, clean_label, group_by_label

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class TaggedGrammar:
    """Boxes as delimited lists of numbers, optionally after a tagged label.

    A label belongs to the boxes after it, as long as only white space and ``joiners`` stand between. Several label
    patterns are tried so that the spellings of one family are all read; the first of ``label_tags`` is written.

    Attributes:
        fragment: Pattern of anything that looks like a box, whole or broken; group ``body`` holds the numbers.
        body: Pattern that a readable body matches in full.
        template: How one box is written; ``{numbers}`` stands for the joined numbers.
        number_separator: Between the numbers.
        angle_separator: Before the fifth number.
        label_tags: Pairs of opening and closing tag.
        label_space: Between the label and its first box when written.
        box_joiner: Between the boxes of one label when written.
        joiners: Pattern of what may stand between a label and its boxes.
        group_joiner: Between groups of different labels when written; it must not match ``joiners``.
        split_corners: Between the second and the third number, where it differs from ``number_separator``.
    """

    fragment: str
    body: str
    template: str
    number_separator: str
    angle_separator: str
    label_tags: tuple[tuple[str, str], ...]
    label_space: str = ""
    box_joiner: str = ""
    joiners: str = r"\s*"
    group_joiner: str = ", "
    split_corners: str = ""

    @cached_property
    def _fragment(self) -> re.Pattern[str]:
        tags = [(re.escape(left), re.escape(right)) for left, right in self.label_tags]
        labels = "|".join(rf"{left}(?:(?!{left}).){{0,300}}?{right}" for left, right in tags) or r"(?!)"
        return re.compile(rf"(?P<label>{labels})|{self.fragment}", re.DOTALL)

    @cached_property
    def _body(self) -> re.Pattern[str]:
        return re.compile(self.body)

    @cached_property
    def _joiners(self) -> re.Pattern[str]:
        return re.compile(self.joiners)

    def scan(self, text: str) -> list[RawBox]:
        """Return every fragment that looks like a box, in order."""
        found: list[RawBox] = []
        label, label_reaches = "", -1
        for match in self._fragment.finditer(text):
            if match.group("label") is not None:
                label, label_reaches = self._untag(match.group("label")), match.end()
                continue
            carries = label_reaches >= 0 and self._joiners.fullmatch(text, label_reaches, match.start()) is not None
            if carries:
                label_reaches = match.end()
            else:
                label, label_reaches = "", -1
            body = match.group("body")
            numbers = tuple(FIND_NUMBERS.findall(body)) if body and self._body.fullmatch(body) else ()
            found.append(RawBox(numbers, label, match.span()))
        return found

    def _untag(self, tagged: str) -> str:
        for left, right in self.label_tags:
            if tagged.startswith(left) and tagged.endswith(right):
                return tagged[len(left) : -len(right)].strip()
        return ""

    def write(self, boxes: Sequence[WrittenBox]) -> str:
        """Spell the boxes; neighbours with the same label share it."""
        groups = []
        for label, members in group_by_label([WrittenBox(box.numbers, self._clean(box.label)) for box in boxes]):
            spelt = self.box_joiner.join(self._write_one(box) for box in members)
            left, right = self.label_tags[0] if self.label_tags else ("", "")
            groups.append(f"{left}{label}{right}{self.label_space}{spelt}" if label and left else spelt)
        return self.group_joiner.join(groups)

    def _clean(self, label: str) -> str:
        return clean_label(label, "<>|{}[]()") if self.label_tags else ""

    def _write_one(self, box: WrittenBox) -> str:
        corners = [self.number_separator.join(box.numbers[:2]), self.number_separator.join(box.numbers[2:4])]
        numbers = (self.split_corners or self.number_separator).join(corners)
        if len(box.numbers) > 4:
            numbers += self.angle_separator + box.numbers[4]
        return self.template.replace("{numbers}", numbers)
