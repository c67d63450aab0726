"""A box format as frozen data, and the two pure functions over it: read boxes, write boxes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from geoprose.answers.corners import axis_aligned_hull, box_corners, exchange_sides
from geoprose.answers.grammar import Grammar, Problem, ProblemKind, RawBox, WrittenBox
from geoprose.core.errors import DataError
from geoprose.core.types import Box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.answers.angles import AngleConvention
    from geoprose.answers.frames import Frame, FrameName

MAX_BOXES = 2000
"""An answer with more boxes than this is a loop of the generator; the rest is reported, not read."""

MAX_OVERSHOOT = 0.25
"""Share of the picture a box may stick out before its numbers are taken to be on another scale."""


@dataclass(frozen=True)
class BoxCodec:
    """Everything that a published box format fixes.

    Attributes:
        name: Name in the table of codecs.
        source: Where the format is published.
        grammar: How a box is spelt.
        scale: What the far edge of the picture is written as; None for pixels of the picture.
        frame: The picture that numbers refer to: the chip, or the model input (padded, resized, cropped).
        order: Two corners ``x1 y1 x2 y2`` of the unrotated box, or centre and size ``cx cy w h``.
        decimals: Digits after the point when written.
        angle: Meaning of the fifth number; None when the format has no rotated boxes.
        is_angle_always_written: Whether axis-aligned boxes carry an angle too.
        largest: Largest number ever written, where it is below ``scale``.
    """

    name: str
    source: str
    grammar: Grammar
    scale: float | None
    frame: FrameName = "chip"
    order: Literal["corners", "centre"] = "corners"
    decimals: int = 0
    angle: AngleConvention | None = None
    is_angle_always_written: bool = False
    largest: float | None = None

    def step_px(self, frame: Frame) -> tuple[float, float]:
        """Return the size in pixels of ``frame`` of one step in x and in y: what writing rounds to."""
        step: float = 10.0**-self.decimals
        return (
            (step, step)
            if self.scale is None
            else (step * frame.width_px / self.scale, step * frame.height_px / self.scale)
        )

    def read(self, text: str, frame: Frame) -> tuple[list[Box], list[Problem]]:
        """Read every box of ``text`` into chip pixels; whatever is odd is said in a problem."""
        boxes: list[Box] = []
        problems: list[Problem] = []
        fragments = self.grammar.scan(text)
        if len(fragments) > MAX_BOXES:
            problems.append(
                Problem("count", f"{len(fragments)} boxes in one answer; only the first {MAX_BOXES} are read.")
            )
        for raw in fragments[:MAX_BOXES]:
            box = self._read_one(raw, _Notes(problems, text[raw.span[0] : raw.span[1]]), frame)
            if box is not None:
                boxes.append(box)
        return boxes, problems

    def write(self, boxes: Sequence[Box], frame: Frame, rotated: Literal["error", "hull"] = "error") -> str:
        """Spell boxes given in chip pixels.

        Raises:
            DataError: If a box lies outside the picture, is not finite, or is rotated and the format cannot say so.
        """
        return self.grammar.write([self._write_one(box, frame, rotated) for box in boxes])

    def _read_one(self, raw: RawBox, notes: _Notes, frame: Frame) -> Box | None:
        numbers = self._numbers(raw, notes)
        if numbers is None:
            return None
        angle_deg = 0.0
        if len(numbers) == 5 and self.angle is not None:
            if abs(numbers[4]) > 360.0:
                notes.add(
                    "angle", f"has an angle of {numbers[4]:g} degrees, more than a full turn; the box is not read"
                )
                return None
            angle_deg = self.angle.to_counter_clockwise(numbers[4])
        box = replace(self._to_chip(numbers, notes, frame), angle_deg=angle_deg, label=raw.label, span=raw.span)
        return box if self._is_on_scale(box, numbers, notes, frame) else None

    def _numbers(self, raw: RawBox, notes: _Notes) -> list[float] | None:
        if not raw.numbers:
            notes.add("unreadable", f"looks like a box but is not of the {self.name} format")
            return None
        if len(raw.numbers) not in ((4, 5) if self.angle is not None else (4,)):
            expected = "4 or 5 numbers" if self.angle is not None else "4 numbers"
            notes.add("count", f"has {len(raw.numbers)} numbers where the {self.name} format has {expected}")
            return None
        try:
            numbers = [float(number) for number in raw.numbers]
        except ValueError:
            numbers = [math.nan]
        if not all(math.isfinite(number) for number in numbers):
            notes.add("number", "holds something that is not a finite number")
            return None
        return numbers

    def _to_chip(self, numbers: Sequence[float], notes: _Notes, frame: Frame) -> Box:
        a, b, c, d = numbers[:4]
        x1, y1, x2, y2 = (a, b, c, d) if self.order == "corners" else (a - c / 2, b - d / 2, a + c / 2, b + d / 2)
        if x1 > x2 or y1 > y2:
            fault = "reversed corners" if self.order == "corners" else "a negative size"
            notes.add("order", f"has {fault}; they are put in order")
            x1, x2, y1, y2 = min(x1, x2), max(x1, x2), min(y1, y2), max(y1, y2)
        if x1 == x2 or y1 == y2:
            notes.add("empty", "has no area")
        unit_x, unit_y = (
            (1.0, 1.0) if self.scale is None else (frame.width_px / self.scale, frame.height_px / self.scale)
        )
        left, top = frame.to_chip(x1 * unit_x, y1 * unit_y)
        right, bottom = frame.to_chip(x2 * unit_x, y2 * unit_y)
        return Box(left, top, right, bottom)

    def _is_on_scale(self, box: Box, numbers: Sequence[float], notes: _Notes, frame: Frame) -> bool:
        far = "the size of the model input in pixels" if self.scale is None else f"0 to {self.scale:g}"
        if self._is_fraction_of_one(numbers):
            notes.add("range", f"holds fractions where the {self.name} format counts {far}; the box is not read")
            return False
        overshoot = _overshoot(box, frame)
        if overshoot > MAX_OVERSHOOT:
            notes.add("range", f"is far outside the scale of the {self.name} format ({far}); the box is not read")
            return False
        slack = max(self.step_px(frame)[0] / frame.width_px, self.step_px(frame)[1] / frame.height_px)
        # A rotated box is rounded before it is turned, so its corners may pass the edge by a step or two.
        if overshoot > (2 * slack if box.angle_deg else 1e-9):
            notes.add("range", f"passes the edge of the picture, over the scale of the {self.name} format ({far})")
        return True

    def _is_fraction_of_one(self, numbers: Sequence[float]) -> bool:
        has_fraction = any(number != int(number) for number in numbers[:4])
        return self.decimals == 0 and has_fraction and all(abs(number) <= 1.0 for number in numbers[:4])

    def _write_one(self, box: Box, frame: Frame, rotated: Literal["error", "hull"]) -> WrittenBox:
        if not all(math.isfinite(value) for value in (box.x_min, box.y_min, box.x_max, box.y_max, box.angle_deg)):
            raise DataError(f"{_name(box)} is not finite, so it cannot be written in the {self.name} format.")
        _refuse_outside(box, frame)
        written_angle: float | None = None
        if self.angle is not None and (box.angle_deg or self.is_angle_always_written):
            written_angle, swap_sides = self.angle.from_counter_clockwise(box.angle_deg)
            box = exchange_sides(box) if swap_sides else box
        elif box.angle_deg and rotated == "hull":
            box = axis_aligned_hull(box)
        elif box.angle_deg:
            raise DataError(
                f"{_name(box)} is rotated by {box.angle_deg:g} degrees, which the {self.name} format cannot express. "
                'Pass rotated="hull" to write the box around it, or choose a format with an angle.'
            )
        numbers = [self._spell(value) for value in self._to_numbers(box, frame)]
        if written_angle is not None:
            numbers.append(_round(written_angle, 0))
        return WrittenBox(tuple(numbers), box.label)

    def _to_numbers(self, box: Box, frame: Frame) -> tuple[float, float, float, float]:
        left, top = frame.from_chip(box.x_min, box.y_min)
        right, bottom = frame.from_chip(box.x_max, box.y_max)
        if not box.angle_deg:  # the visible part; a rotated box keeps its unrotated corners, which may lie outside
            left, right = max(left, 0.0), min(right, frame.width_px)
            top, bottom = max(top, 0.0), min(bottom, frame.height_px)
        unit_x, unit_y = (
            (1.0, 1.0) if self.scale is None else (self.scale / frame.width_px, self.scale / frame.height_px)
        )
        x1, y1, x2, y2 = left * unit_x, top * unit_y, right * unit_x, bottom * unit_y
        return (x1, y1, x2, y2) if self.order == "corners" else ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)

    def _spell(self, value: float) -> str:
        return _round(value if self.largest is None else min(value, self.largest), self.decimals)


@dataclass(frozen=True)
class _Notes:
    """Collects problems of one fragment, each naming the fragment."""

    problems: list[Problem]
    fragment: str

    def add(self, kind: ProblemKind, what: str) -> None:
        shown = self.fragment if len(self.fragment) <= 60 else self.fragment[:57] + "..."
        self.problems.append(Problem(kind, f"{shown!r} {what}."))


def _refuse_outside(box: Box, frame: Frame) -> None:
    """Raise when nothing of a box is in view, or when it is rotated and sticks out too far to be read again."""
    xs, ys = zip(*(frame.from_chip(*corner) for corner in box_corners(box)), strict=True)
    is_unseen = max(xs) < 0 or max(ys) < 0 or min(xs) > frame.width_px or min(ys) > frame.height_px
    if is_unseen or (box.angle_deg and _overshoot(box, frame) > MAX_OVERSHOOT):
        raise DataError(
            f"{_name(box)} lies outside the picture of {frame.width_px:g} x {frame.height_px:g} px. "
            "Drop it, or choose a resize mode that does not cut it away."
        )


def _overshoot(box: Box, frame: Frame) -> float:
    """Largest distance of a corner outside the picture, as a share of the picture's side."""
    worst = 0.0
    for corner in box_corners(box):
        x, y = frame.from_chip(*corner)
        worst = max(worst, -x / frame.width_px, x / frame.width_px - 1, -y / frame.height_px, y / frame.height_px - 1)
    return worst


def _round(value: float, decimals: int) -> str:
    """Spell a number with fixed decimals, halves up, without a negative zero."""
    factor = 10**decimals
    return f"{math.floor(value * factor + 0.5) / factor + 0.0:.{decimals}f}"


def _name(box: Box) -> str:
    label = f" {box.label!r}" if box.label else ""
    return f"Box{label} ({box.x_min:g}, {box.y_min:g}, {box.x_max:g}, {box.y_max:g})"
