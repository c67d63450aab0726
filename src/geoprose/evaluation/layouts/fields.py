"""Read single fields of foreign records: text, lists of references, boxes in pixels, sizes."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from geoprose.evaluation.layouts.base import Record

MAX_NESTED = 100_000
"""Longest text, in characters, that is read as a list inside a cell."""


def text(value: Any) -> str:
    """Return ``value`` as text: nothing and NaN are empty, whole floats lose their point, a list of one is its item."""
    if isinstance(value, str):
        # JSON can spell half of a character, which no file can hold: it becomes a question mark.
        return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list | tuple) and len(value) == 1:
        return text(value[0])
    return json.dumps(value) if isinstance(value, list | dict) else str(value)


def first_of(record: Record, *names: str) -> Any:
    """Return the value of the first of ``names`` that the record has, else None."""
    for name in names:
        if name in record:
            return record[name]
    return None


def texts(value: Any) -> tuple[str, ...]:
    """Return a list of references: a list as it is, a text as one reference, nothing as none."""
    if isinstance(value, list | tuple):
        return tuple(text(one) for one in value if text(one))
    return (text(value),) if text(value) else ()


def nested(value: Any) -> Any:
    """Return what a text spells when it is a list in JSON or Python notation, else the value itself."""
    if not (isinstance(value, str) and value.lstrip()[:1] == "[" and len(value) <= MAX_NESTED):
        return value
    for parse in (json.loads, ast.literal_eval):
        try:
            found = parse(value.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(found, list):
            return found
    return value


def boxes_px(value: Any) -> list[list[float]] | None:
    """Return boxes of 4 or 8 numbers from any nesting: one flat box, a list of boxes, or polygons of four points.

    Returns:
        A list of ``[x1, y1, x2, y2]`` or ``[x1, y1, ..., x4, y4]``; None when ``value`` is none of these.
    """
    value = nested(value)
    if not isinstance(value, list) or not value:
        return None
    flat = _numbers(value)
    if flat is not None:
        return [flat] if len(flat) in (4, 8) else None
    boxes = []
    for one in value:
        points = _numbers(one) or _points(one)
        if points is None or len(points) not in (4, 8):
            return None
        boxes.append(points)
    return boxes


def size_px(value: Any, is_height_first: bool = False) -> list[int] | None:
    """Return ``[width, height]`` of two positive whole numbers, else None."""
    numbers = _numbers(nested(value))
    if numbers is None or len(numbers) != 2 or min(numbers) < 1:
        return None
    first, second = int(numbers[0]), int(numbers[1])
    return [second, first] if is_height_first else [first, second]


def scores(value: Any) -> dict[str, float]:
    """Return a mapping of option to number; NaN stays in it, to be counted by whoever scores."""
    if not isinstance(value, Mapping):
        return {}
    return {str(key): float(score) for key, score in value.items() if isinstance(score, int | float)}


def _numbers(value: Any) -> list[float] | None:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return None
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in value):
        return None
    return [float(one) for one in value]


def _points(value: Any) -> list[float] | None:
    if not isinstance(value, list):
        return None
    points = [_numbers(point) for point in value]
    if any(point is None or len(point) != 2 for point in points):
        return None
    return [number for point in points if point is not None for number in point]
