"""Read the predicted and the reference mask of an item: a file, outlines in the text, run lengths, or boxes."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from geoprose.answers.codecs import get_codec, read_boxes
from geoprose.answers.frames import make_frame
from geoprose.answers.grammar import NUMBER
from geoprose.answers.iou import corners_of, outline_of
from geoprose.core.errors import DataError, TaskError
from geoprose.evaluation.metrics.masks.masks import (
    MASK_SUFFIXES,
    MAX_PIXELS,
    Counts,
    Mask,
    count_pixels,
    decode_rle,
    rasterise,
    read_mask_file,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from geoprose.answers.frames import Geometry
    from geoprose.core.types import JsonValue
    from geoprose.evaluation.metrics.base import Item

MAX_TEXT = 2_000_000
_RUN = re.compile(rf"[\[(<]\s*{NUMBER}(?:[\s,\[\]()<>]+{NUMBER}){{5,}}\s*[\])>]")
_NUMBERS = re.compile(NUMBER)


class MaskPair(NamedTuple):
    """The pixels of one item.

    Attributes:
        counts: With an empty predicted mask where the answer could not be read.
        problem: Why the answer could not be read; empty when it could.
        kind: ``file``, ``rle``, ``outline``, ``box`` or ``empty``: what the answer was.
    """

    counts: Counts
    problem: str
    kind: str


def read_masks(item: Item) -> MaskPair:
    """Read both masks of an item and count their pixels.

    Raises:
        TaskError: If there is no reference mask, or its file is broken.
    """
    reference = _reference_mask(item)
    size_px = (reference.shape[1], reference.shape[0])
    problem, kind, predicted = "", "", None
    try:
        kind, predicted = _predicted_mask(item, size_px)
    except (DataError, TaskError) as error:
        problem = str(error)
    if predicted is None:
        problem = problem or "the answer holds no mask, outline, run lengths or box"
    elif predicted.shape != reference.shape:
        # Why not resize: the score would then depend on the way it is done.
        problem = (
            f"the predicted mask is {predicted.shape[1]} x {predicted.shape[0]} px and the reference "
            f"{size_px[0]} x {size_px[1]} px"
        )
        predicted = None
    if predicted is None:
        return MaskPair(count_pixels(rasterise((), size_px), reference), problem, kind)
    return MaskPair(count_pixels(predicted, reference), "", kind)


def mask_problem_table(items: Iterable[Item], pairs: Iterable[MaskPair]) -> dict[str, JsonValue]:
    """Count what kinds of answer there were and how many could not be read, with the first reason in words."""
    kinds: dict[str, int] = {}
    unread, first = 0, ""
    for item, pair in zip(items, pairs, strict=True):
        if pair.problem:
            unread += 1
            first = first or f"{item.id}: {pair.problem}"
        else:
            kinds[pair.kind] = kinds.get(pair.kind, 0) + 1
    return {"read_from": dict(sorted(kinds.items())), "unread": unread, "first_unread": first}


def find_outlines(text: str, codec_name: str, geometry: Geometry) -> list[tuple[float, ...]]:
    """Return every outline of at least three corners that a text holds, in pixels of the picture.

    Lists of numbers (``[x1, y1, x2, y2, ...]``), lists of points (``[[x1, y1], ...]``, ``(x1, y1), (x2, y2), ...``) and
    lists of those are read; numbers are on the scale of the box codec.
    """
    codec = get_codec(codec_name)
    frame = make_frame(codec.frame, geometry)
    scale = codec.scale
    unit_x, unit_y = (1.0, 1.0) if scale is None else (frame.width_px / scale, frame.height_px / scale)
    outlines = []
    for ring in _rings(text[:MAX_TEXT]):
        points = [frame.to_chip(x * unit_x, y * unit_y) for x, y in zip(ring[0::2], ring[1::2], strict=True)]
        outlines.append(tuple(value for point in points for value in point))
    return outlines


def _rings(text: str) -> list[list[float]]:
    start, end = text.find("["), text.rfind("]")
    if 0 <= start < end:
        try:
            return _nested(json.loads(text[start : end + 1]))
        except (ValueError, RecursionError):
            pass  # not JSON: the numbers are looked for below
    rings = [[float(number) for number in _NUMBERS.findall(run)] for run in _RUN.findall(text)]
    return [ring for ring in rings if len(ring) % 2 == 0]


def _nested(value: Any) -> list[list[float]]:
    if not isinstance(value, list):
        return []
    if value and all(_is_number(one) for one in value):
        return [[float(one) for one in value]] if len(value) >= 6 and len(value) % 2 == 0 else []
    is_points = all(isinstance(one, list) and len(one) == 2 and all(map(_is_number, one)) for one in value)
    if is_points and len(value) >= 3:
        return [[float(number) for point in value for number in point]]
    return [ring for one in value for ring in _nested(one)]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) < 1e9


def _predicted_mask(item: Item, size_px: tuple[int, int]) -> tuple[str, Mask | None]:
    text = item.prediction.strip()
    if text.lower().endswith(MASK_SUFFIXES) and "\n" not in text:
        return "file", read_mask_file(_inside(item.root, text))
    if text == "[]":
        return "empty", rasterise((), size_px)
    rle = _rle(text)
    if rle is not None:
        return "rle", rle
    geometry: Geometry = item.geometry or item.size_px or size_px
    outlines = find_outlines(text, item.codec, geometry)
    if outlines:
        return "outline", rasterise(outlines, size_px)
    corners = [corners_of(outline_of(box)) for box in read_boxes(text, item.codec, geometry)[0]]
    return ("box", rasterise(corners, size_px)) if corners else ("", None)


def _rle(text: str) -> Mask | None:
    if '"counts"' not in text:
        return None
    try:
        value = json.loads(text)
        height, width = (int(side) for side in value["size"])
        counts = value["counts"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"run lengths must be JSON with size [height, width] and counts: {error}") from error
    if not (0 < height * width <= MAX_PIXELS):
        raise DataError(f"run lengths of a mask of {width} x {height} px are not read")
    return decode_rle(counts, (height, width))


def _reference_mask(item: Item) -> Mask:
    path, polygons = item.meta.get("mask"), item.meta.get("polygons")
    try:
        if isinstance(path, str):
            value = item.meta.get("mask_value")
            return read_mask_file(_inside(item.root, path), value if isinstance(value, int) else None)
        if isinstance(polygons, list) and item.size_px:
            rings = _nested(polygons)
            if len(rings) != len(polygons):
                raise DataError("meta.polygons holds something that is not an outline of three corners or more")
            return rasterise(rings, item.size_px)
    except DataError as error:
        raise TaskError(f"Sample {item.id} has no readable reference mask: {error}") from error
    raise TaskError(
        f"Sample {item.id} has no reference mask. Give meta.mask (a path below the data folder), or meta.polygons in "
        "pixels with meta.size_px."
    )


def _inside(root: Path | None, name: str) -> Path:
    """Return the path of a file below the root; a prediction file must not reach other files of the machine."""
    if root is None:
        raise DataError(f"the mask {name} is a path, and there is no data folder to look in. Give --data.")
    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()):
        raise DataError(f"the mask {name} lies outside the data folder")
    return path
