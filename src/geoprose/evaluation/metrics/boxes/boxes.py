"""Read the predicted and the reference boxes of an item, and keep account of everything odd about them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from geoprose.answers.codecs import get_codec, read_boxes
from geoprose.answers.iou import Flat, Outline, outline_of
from geoprose.core.errors import ConfigError, TaskError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from geoprose.answers.codec import BoxCodec
    from geoprose.answers.frames import Geometry
    from geoprose.core.types import JsonValue
    from geoprose.evaluation.metrics.base import Item

UNKNOWN_SIZE_PX = (1000, 1000)
"""Stands for the chip's size where it is not known and no reference is in pixels; IoU does not depend on it."""

_NOWHERE = Outline((0.0, 0.0, 0.0, 0.0))

Reading = Literal["codec", "absolute", "thousand"]
"""Which numbers a predicted box holds: what the codec says, pixels of the picture, or 0 to 1000 over the picture."""


@dataclass(frozen=True, slots=True)
class BoxPair:
    """The boxes of one item, in pixels of its first picture.

    Attributes:
        id: Identifier of the sample.
        predicted: Boxes of the answer, in its order.
        reference: Boxes of the reference.
        is_difficult: Per reference, whether detection scoring must ignore it.
        size_px: Width and height of the picture.
        phrase: What was asked for; empty when the sample does not say.
        problems: ``(kind, message)`` of everything that could not be read, or was read with a reservation.
    """

    id: str
    predicted: tuple[Outline, ...]
    reference: tuple[Outline, ...]
    is_difficult: tuple[bool, ...]
    size_px: tuple[int, int]
    phrase: str
    problems: tuple[tuple[str, str], ...]


def read_pair(item: Item, reading: Reading = "codec") -> BoxPair:
    """Read both sides of an item; references from ``meta["boxes"]`` where given, else from the first reference text.

    Raises:
        TaskError: If there is no reference box to score against, a reference is not four or eight finite numbers, or
            references are in pixels and the size of the picture is not known.
        ConfigError: If a codec or the reading is unknown.
    """
    codec = _codec(item.codec, reading)
    if item.size_px is None and item.geometry is None and "boxes" in item.meta and codec.scale is not None:
        raise TaskError(
            f"Sample {item.id} has its reference boxes in pixels, and the {codec.name} format of the predictions "
            "counts in shares of a picture whose size is not known. Give meta.size_px."
        )
    size = item.size_px or UNKNOWN_SIZE_PX
    geometry: Geometry = size if reading != "codec" or item.geometry is None else item.geometry
    boxes, problems = read_boxes(item.prediction, codec, geometry)
    predicted, bad_scores = _with_scores([outline_of(box) for box in boxes], item)
    noted = [(f"prediction: {problem.kind}", problem.message) for problem in problems]
    reference, more = _reference(item, size)
    difficult = _flags(item, len(reference))
    phrase = str(item.meta.get("phrase", ""))
    return BoxPair(item.id, tuple(predicted), tuple(reference), difficult, size, phrase, (*noted, *bad_scores, *more))


def problem_table(pairs: Iterable[BoxPair]) -> dict[str, JsonValue]:
    """Count problems by kind: how many boxes, in how many items, and the first of them in words."""
    table: dict[str, dict[str, Any]] = {}
    for pair in pairs:
        for kind, message in pair.problems:
            entry = table.setdefault(kind, {"boxes": 0, "items": 0, "first": f"{pair.id}: {message}", "last_id": None})
            entry["boxes"] += 1
            entry["items"] += entry["last_id"] != pair.id
            entry["last_id"] = pair.id
    return {kind: {key: entry[key] for key in ("boxes", "items", "first")} for kind, entry in sorted(table.items())}


def to_outline(numbers: Sequence[float], label: str = "") -> Outline:
    """Return the outline of ``x1 y1 x2 y2`` or of four corners; an axis-aligned quadrilateral becomes a plain box."""
    xs, ys = list(numbers[0::2]), list(numbers[1::2])
    flat: Flat = (min(xs), min(ys), max(xs), max(ys))
    is_aligned = len(numbers) == 4 or all(
        x in (flat[0], flat[2]) and y in (flat[1], flat[3]) for x, y in zip(xs, ys, strict=True)
    )
    is_rectangle = len(numbers) == 4 or (is_aligned and len(set(zip(xs, ys, strict=True))) == 4)
    return Outline(flat, None if is_rectangle else tuple(numbers), label)


def _codec(name: str, reading: Reading) -> BoxCodec:
    if reading not in get_args(Reading):
        raise ConfigError(f"Unknown reading of boxes {reading!r}. Known: {', '.join(get_args(Reading))}.")
    codec = get_codec(name)
    if reading == "codec":
        return codec
    return replace(codec, scale=None if reading == "absolute" else 1000.0, frame="chip")


def _with_scores(outlines: list[Outline], item: Item) -> tuple[list[Outline], list[tuple[str, str]]]:
    """Give each box the confidence that stands under its place ("0", "1", ...) in the item's scores."""
    if not item.scores:
        return outlines, []
    scored, problems = [], []
    for place, outline in enumerate(outlines):
        score = item.scores.get(str(place), outline.score)
        if score is not None and math.isnan(score):
            problems.append(("prediction: score", f"box {place} has a score that is not a number; it is ranked last."))
            score = -math.inf
        scored.append(outline._replace(score=score))
    return scored, problems


def _reference(item: Item, size: tuple[int, int]) -> tuple[list[Outline], list[tuple[str, str]]]:
    given = item.meta.get("boxes")
    if given is None:
        return _reference_text(item, size)
    if not isinstance(given, list):
        raise TaskError(f"Sample {item.id}: meta.boxes is not a list of boxes. See docs/reference/sample-meta.md.")
    labels = item.meta.get("box_labels")
    if isinstance(labels, list) and len(labels) != len(given):
        raise TaskError(f"Sample {item.id} has {len(given)} boxes and {len(labels)} box_labels; give one per box.")
    names = [str(label) for label in labels] if isinstance(labels, list) else [""] * len(given)
    problems: list[tuple[str, str]] = []
    outlines = []
    for place, (numbers, name) in enumerate(zip(given, names, strict=True)):
        values = _numbers(item.id, place, numbers)
        outline = to_outline(values, name)
        problems += [(f"reference: {kind}", f"box {place} {what}.") for kind, what in _oddities(values, outline, size)]
        outlines.append(outline)
    return outlines, problems


def _reference_text(item: Item, size: tuple[int, int]) -> tuple[list[Outline], list[tuple[str, str]]]:
    text = item.references[0] if item.references else ""
    boxes, problems = read_boxes(text, item.reference_codec, size)
    if not boxes and not problems:
        raise TaskError(
            f"Sample {item.id} has no reference box: meta.boxes is not given and the reference text holds none in the "
            f"{item.reference_codec} format. Give meta.boxes in pixels, or name the format with box_codec."
        )
    noted = [(f"reference: {problem.kind}", problem.message) for problem in problems]
    # A reference that cannot be read stays in the denominator as a box without area, which nothing matches.
    num_unread = len(get_codec(item.reference_codec).grammar.scan(text)) - len(boxes)
    noted += [("reference: not read", "a reference box cannot be read; nothing matches it.")] * num_unread
    return [outline_of(box) for box in boxes] + [_NOWHERE] * num_unread, noted


def _numbers(sample_id: str, place: int, numbers: Any) -> list[float]:
    is_list = isinstance(numbers, list) and len(numbers) in (4, 8)
    if not is_list or not all(isinstance(value, int | float) and math.isfinite(value) for value in numbers):
        raise TaskError(
            f"Sample {sample_id}: reference box {place} is {numbers!r}, not 4 numbers x1 y1 x2 y2 or 8 numbers of four "
            "corners, all finite, in pixels. Correct the reference; nothing is scored against a guess."
        )
    return [float(value) for value in numbers]


def _oddities(values: list[float], outline: Outline, size: tuple[int, int]) -> list[tuple[str, str]]:
    x_min, y_min, x_max, y_max = outline.flat
    found = []
    if len(values) == 4 and (values[0] > values[2] or values[1] > values[3]):
        found.append(("order", "has reversed corners; they are put in order"))
    if x_min == x_max or y_min == y_max:
        found.append(("empty", "has no area, so nothing can match it"))
    if x_min < -1 or y_min < -1 or x_max > size[0] + 1 or y_max > size[1] + 1:
        found.append(("range", f"passes the edge of the picture of {size[0]} x {size[1]} px by more than a pixel"))
    return found


def _flags(item: Item, count: int) -> tuple[bool, ...]:
    flags = item.meta.get("difficult")
    if not isinstance(flags, list):
        return (False,) * count
    if len(flags) != count:
        raise TaskError(f"Sample {item.id} has {count} boxes and {len(flags)} difficult flags; give one flag per box.")
    return tuple(bool(flag) for flag in flags)
