"""Questions made from the labelled boxes of a picture: find, locate, count.

The data sets publish boxes, not questions. What is asked here follows from the boxes alone, in a fixed order and
without chance, so the same data gives the same questions everywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from geoprose.answers.angles import canonical_angle
from geoprose.answers.codecs import format_boxes
from geoprose.answers.corners import axis_aligned_hull, exchange_sides
from geoprose.core.errors import DataError
from geoprose.core.types import Box
from geoprose.data.readers.picture import json_list
from geoprose.data.scene_captions import words_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from geoprose.core.types import JsonValue, Sample
    from geoprose.data.readers.picture import Picture

NOTHING = "none"
"""Answer to a question for boxes that are not there."""

SMALL_PX2, MEDIUM_PX2 = 32.0**2, 96.0**2
"""Areas below which an object is small or medium. Source: the COCO detection evaluation."""

Corners = tuple[float, ...]

_SIDES = (("leftmost", 0, 1), ("rightmost", 0, -1), ("topmost", 1, 1), ("bottommost", 1, -1))


@dataclass(frozen=True)
class Thing:
    """One labelled object.

    Attributes:
        corners: ``x1 y1 x2 y2``, or the four corners of an oriented box, pixels.
        label: Class as published.
        is_difficult: Whether detection scoring must ignore it.
    """

    corners: Corners
    label: str
    is_difficult: bool = False


@dataclass(frozen=True)
class ObjectPicture:
    """A picture with its labelled objects.

    Attributes:
        picture: The picture.
        things: Its objects, in the published order.
        size_px: Width and height.
    """

    picture: Picture
    things: tuple[Thing, ...]
    size_px: tuple[int, int]

    def classes(self) -> list[str]:
        """Return the classes that are in the picture, sorted."""
        return sorted({thing.label for thing in self.things})


def detection(entry: ObjectPicture, classes: Sequence[str], absent: int = 0) -> Iterator[Sample]:
    """Ask for every object of each class in the picture, and of the first ``absent`` classes that are not in it."""
    present = entry.classes()
    missing = [name for name in classes if name not in present][:absent]
    for name in [*present, *missing]:
        things = [thing for thing in entry.things if thing.label == name]
        flags = json_list([thing.is_difficult for thing in things])
        yield entry.picture.ask(
            "detection",
            f"Find every {object_words(name)}.",
            [spell(things, entry.size_px)],
            f"detect-{name}",
            **_box_meta(entry, things, name),
            difficult=flags if any(thing.is_difficult for thing in things) else None,
        )


def grounding(entry: ObjectPicture) -> Iterator[Sample]:
    """Ask where an object is: the only one of its class, or the one that lies clearly farthest to a side."""
    for side, thing in named_things(entry):
        phrase = f"{side} {object_words(thing.label)}".strip()
        yield entry.picture.ask(
            "grounding",
            f"Where is the {phrase}?",
            [spell([thing], entry.size_px)],
            f"ground-{side}-{thing.label}" if side else f"ground-{thing.label}",
            **{**_box_meta(entry, [thing], thing.label), "phrase": phrase},
            is_unique=not side,
            size_group=size_group(thing.corners),
        )


def named_things(entry: ObjectPicture) -> Iterator[tuple[str, Thing]]:
    """Yield the objects that a few words single out, with the side that does: none where a class has one object."""
    for name in entry.classes():
        things = [thing for thing in entry.things if thing.label == name]
        found = [("", things[0])] if len(things) == 1 else _outermost(things, entry.size_px)
        yield from ((side, thing) for side, thing in found if not thing.is_difficult)


def multi_target(entry: ObjectPicture) -> Iterator[Sample]:
    """Ask where all objects of a class are, for each class with at least two."""
    for name in entry.classes():
        things = [thing for thing in entry.things if thing.label == name]
        if len(things) > 1:
            yield entry.picture.ask(
                "multi_target",
                f"Where are the objects of the class {object_words(name)}?",
                [spell(things, entry.size_px)],
                f"all-{name}",
                **_box_meta(entry, things, name),
                is_unique=False,
            )


def counting(entry: ObjectPicture, classes: Sequence[str], absent: int = 0) -> Iterator[Sample]:
    """Ask for the number of objects of each class in the picture, and of the first ``absent`` classes not in it.

    Difficult objects count: the question is how many there are, not how many are easy to see.
    """
    present = entry.classes()
    missing = [name for name in classes if name not in present][:absent]
    for name in [*present, *missing]:
        count = sum(thing.label == name for thing in entry.things)
        words = object_words(name)
        yield entry.picture.ask(
            "count",
            f"How many objects of the class {words} are there?",
            [str(count)],
            f"count-{name}",
            count=count,
            phrase=words,
            size_px=json_list(entry.size_px),
        )


def chair(entry: ObjectPicture) -> Iterator[Sample]:
    """Ask for a description of the picture; ``objects`` says which classes it may name."""
    names = [object_words(name) for name in entry.classes()]
    if names:
        answer = f"The image shows {', '.join(names)}."
        yield entry.picture.ask(
            "chair",
            "Describe the image.",
            [answer],
            "chair",
            objects=json_list(names),
            boxes=[json_list(thing.corners) for thing in entry.things],
            box_labels=json_list([object_words(thing.label) for thing in entry.things]),
            size_px=json_list(entry.size_px),
        )


def object_words(label: str) -> str:
    """Return a class as words: ``"large-vehicle"`` becomes ``"large vehicle"``."""
    return words_of(label.replace("-", " "))


def size_group(corners: Corners) -> Literal["small", "medium", "large"]:
    """Return the size class of a box by its area in pixels."""
    area = area_of(corners)
    return "small" if area < SMALL_PX2 else "medium" if area < MEDIUM_PX2 else "large"


def area_of(corners: Corners) -> float:
    """Return the area of a box in square pixels, of four corners by the shoelace formula."""
    if len(corners) == 4:
        return abs((corners[2] - corners[0]) * (corners[3] - corners[1]))
    xs, ys = corners[0::2], corners[1::2]
    following = range(1, len(xs) + 1)
    return abs(sum(xs[i - 1] * ys[i % len(xs)] - xs[i % len(xs)] * ys[i - 1] for i in following)) / 2


def to_box(thing: Thing) -> Box:
    """Return the Box of an object.

    Four corners drawn by people are no exact rectangle: they become the one with their centre, the mean lengths of
    opposite sides, and the turn of the longer sides.

    Raises:
        DataError: If there are neither 4 nor 8 numbers.
    """
    numbers = thing.corners
    label = object_words(thing.label)
    if len(numbers) == 4:
        return Box(*numbers, label=label)
    if len(numbers) != 8:
        raise DataError(f"A box of {label} has {len(numbers)} numbers; give x1 y1 x2 y2 or four corners.")
    (x1, y1), (x2, y2), (x3, y3), (x4, y4) = zip(numbers[0::2], numbers[1::2], strict=True)
    along, across = ((x2 - x1) + (x3 - x4), (y2 - y1) + (y3 - y4)), ((x3 - x2) + (x4 - x1), (y3 - y2) + (y4 - y1))
    longer, shorter = sorted((along, across), key=lambda side: -math.hypot(*side))
    half_width, half_height = math.hypot(*longer) / 4, math.hypot(*shorter) / 4
    centre_x, centre_y = (x1 + x2 + x3 + x4) / 4, (y1 + y2 + y3 + y4) / 4
    angle = canonical_angle(-math.degrees(math.atan2(longer[1], longer[0])))
    box = Box(
        centre_x - half_width, centre_y - half_height, centre_x + half_width, centre_y + half_height, angle, label
    )
    if abs(angle) <= 45.0:
        return box
    return replace(exchange_sides(box), angle_deg=canonical_angle(angle - 90.0))  # the same rectangle, turned less


def spell(things: Sequence[Thing], size_px: tuple[int, int]) -> str:
    """Write the objects in the house format; what lies outside the picture is left out, nothing left is ``none``."""
    written = []
    for thing in things:
        for box in (to_box(thing), axis_aligned_hull(to_box(thing))):  # a turned box over the edge is written unturned
            try:
                format_boxes([box], "geoprose", size_px)
            except DataError:
                continue
            written.append(box)
            break
    return format_boxes(written, "geoprose", size_px) if written else NOTHING


def _outermost(things: Sequence[Thing], size_px: tuple[int, int]) -> list[tuple[str, Thing]]:
    """Return the objects that lie farthest to a side, with at least a twentieth of the picture to the next one."""
    found = []
    for side, axis, sign in _SIDES:
        ordered = sorted(things, key=lambda thing: sign * sum(thing.corners[axis::2]) / len(thing.corners[axis::2]))
        first, second = (sum(thing.corners[axis::2]) / len(thing.corners[axis::2]) for thing in ordered[:2])
        if abs(first - second) >= size_px[axis] / 20:
            found.append((side, ordered[0]))
    return found


def _box_meta(entry: ObjectPicture, things: Sequence[Thing], name: str) -> dict[str, JsonValue]:
    words = object_words(name)
    return {
        "boxes": [json_list(thing.corners) for thing in things],
        "box_labels": json_list([words] * len(things)),
        "phrase": words,
        "size_px": json_list(entry.size_px),
    }
