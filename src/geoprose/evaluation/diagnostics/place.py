"""Move everything of a sample that says where something is: boxes, regions, outlines, boxes in text."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from geoprose.answers.codecs import format_boxes, parse_answer
from geoprose.answers.corners import box_corners
from geoprose.core.errors import TaskError
from geoprose.data.readers.objects import Thing, to_box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.core.types import Box, JsonValue, Sample

Size = tuple[int, int]


class CannotMoveError(TaskError):
    """A sample says something about places that cannot be moved with its picture."""


class Move(Protocol):
    """What happens to the places of a picture."""

    def size(self, size_px: Size) -> Size:
        """Return width and height after the move."""
        ...

    def point(self, x: float, y: float, size_px: Size) -> tuple[float, float]:
        """Return where a point of a picture of ``size_px`` (width, height) goes, pixels."""
        ...


@dataclass(frozen=True)
class Scaling:
    """A picture made smaller.

    Attributes:
        factor: How many times larger its pixels become.
    """

    factor: float

    def size(self, size_px: Size) -> Size:
        """Return width and height of the small picture."""
        return max(1, round(size_px[0] / self.factor)), max(1, round(size_px[1] / self.factor))

    def point(self, x: float, y: float, size_px: Size) -> tuple[float, float]:
        """Return the same place in the small picture."""
        width, height = self.size(size_px)
        return x * width / size_px[0], y * height / size_px[1]


def moved(sample: Sample, move: Move) -> Sample:
    """Return the sample with the places of its meta moved; texts are left as they are.

    Fit for moves that keep numbers relative to the picture, such as scaling.

    Raises:
        CannotMoveError: If boxes are there and the size of the picture is unknown.
    """
    return replace(sample, meta=moved_meta(sample, move))


def moved_meta(sample: Sample, move: Move) -> dict[str, JsonValue]:
    """Return the meta of a sample with ``boxes``, ``region``, ``polygons`` and ``size_px`` moved.

    Raises:
        CannotMoveError: If there are places and the size of the picture is unknown.
    """
    meta = dict(sample.meta)
    size = size_of(sample)
    if size is None:
        if places := sorted({"boxes", "region", "polygons"} & meta.keys()):
            raise CannotMoveError(f"{sample.id} has {', '.join(places)} and no meta.size_px, so they cannot be moved.")
        return meta
    for key in ("boxes", "polygons"):
        if isinstance(listed := meta.get(key), list):
            meta[key] = [moved_corners(one, move, size) for one in listed]
    if isinstance(meta.get("region"), list):
        meta["region"] = moved_corners(meta["region"], move, size)
    meta["size_px"] = list(move.size(size))
    return meta


def size_of(sample: Sample) -> Size | None:
    """Return width and height of a sample's first picture as its georeference or meta say; None when neither does."""
    georef = sample.georefs[0] if sample.georefs else None
    if georef is not None:
        return georef.width_px, georef.height_px
    size = sample.meta.get("size_px")
    return (int(str(size[0])), int(str(size[1]))) if isinstance(size, list) and len(size) == 2 else None


def moved_corners(numbers: JsonValue, move: Move, size_px: Size) -> list[JsonValue]:
    """Return ``x1 y1 x2 y2`` or a polygon ``x1 y1 ... xn yn`` moved; two corners stay the top left and bottom right.

    Raises:
        CannotMoveError: If it is no list of pairs of numbers.
    """
    flat = _numbers(numbers)
    points = [move.point(x, y, size_px) for x, y in zip(flat[0::2], flat[1::2], strict=True)]
    if len(flat) == 4:
        xs, ys = zip(*points, strict=True)
        return [min(xs), min(ys), max(xs), max(ys)]
    return [value for point in points for value in point]


def moved_box(box: Box, move: Move, size_px: Size) -> Box:
    """Return a box, turned or not, moved; its label stays."""
    points = [move.point(x, y, size_px) for x, y in box_corners(box)]
    if not box.angle_deg:
        xs, ys = zip(*points, strict=True)
        return replace(box, x_min=min(xs), y_min=min(ys), x_max=max(xs), y_max=max(ys))
    around = to_box(Thing(tuple(value for point in points for value in point), ""))
    return replace(around, label=box.label, score=box.score)


def split_boxes(text: str, codec: str, size_px: Size | None) -> list[str | Box]:
    """Cut a text into words and boxes, in their order.

    Raises:
        CannotMoveError: If something looks like a box and cannot be read, or the size of the picture is unknown.
    """
    answer = parse_answer(text, codec, size_px or (1000, 1000))
    if answer.status == "no_boxes":
        return [text]
    spans = [box.span for box in answer.boxes]
    if answer.status == "unparsable" or answer.problems or size_px is None or None in spans:
        raise CannotMoveError(f"The boxes of {text[:60]!r} cannot be read as {codec}.")
    parts: list[str | Box] = []
    at = 0
    for box in sorted(answer.boxes, key=lambda one: one.span or (0, 0)):
        start, end = box.span or (0, 0)
        parts += [text[at:start], box]
        at = end
    return [*parts, text[at:]]


def spelled(box: Box, codec: str, size_px: Size) -> str:
    """Write one box as it stands in a text."""
    return format_boxes([box], codec, size_px)


def _numbers(value: JsonValue) -> Sequence[float]:
    if not isinstance(value, list) or len(value) < 4 or len(value) % 2:
        raise CannotMoveError(f"{value!r} is no list of pairs of numbers.")
    try:
        return [float(str(number)) for number in value]
    except ValueError as error:
        raise CannotMoveError(f"{value!r} is no list of numbers.") from error
