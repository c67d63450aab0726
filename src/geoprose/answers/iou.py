"""Intersection over union of horizontal, oriented and four-cornered boxes, with the published variants by name.

Coordinates are edges, so the area of a box is width times height with no "+ 1" on the sides: that addition is only
right for inclusive integer pixels, inflates IoU on a 0..100 grid, and makes random boxes on a 0..1 scale match in about
30 % of cases. The definitions with it exist here as named kinds, so that published numbers can be reproduced.
"""

# P predicted boxes, R reference boxes

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np

from geoprose.answers.corners import box_corners
from geoprose.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from geoprose.core.types import Box

IouKind = Literal["continuous", "ignore_angle", "plus_one_pixels", "plus_one_100", "plus_one_unit"]
"""``continuous``: areas between edges, oriented boxes by polygon clipping; the only sound one.
``ignore_angle``: the unrotated boxes are compared.
``plus_one_pixels``: 1 is added to each side in pixels (inclusive pixel indices); angles are ignored, as in the rest.
``plus_one_100``: the same after scaling the picture to 0..100; Source: VRSBench eval_utils.py computeIoU.
``plus_one_unit``: the same after scaling the picture to 0..1; Source: LHRS-Bot main_vg.py calculate_iou.
"""

Flat = tuple[float, float, float, float]
Size = tuple[float, float]
_GRID = {"plus_one_100": 100.0, "plus_one_unit": 1.0}


class Outline(NamedTuple):
    """A box as a metric sees it, in pixels.

    Attributes:
        flat: ``x_min, y_min, x_max, y_max`` of the unrotated box, or of the hull of four given corners.
        corners: ``x1, y1 .. x4, y4`` around the box; None when ``flat`` says it all.
        label: Class; empty when none is given.
        score: Confidence; None when none is given.
    """

    flat: Flat
    corners: tuple[float, ...] | None = None
    label: str = ""
    score: float | None = None


def outline_of(box: Box) -> Outline:
    """Return the outline of a Box, which may be rotated."""
    flat = (box.x_min, box.y_min, box.x_max, box.y_max)
    if box.angle_deg % 180 == 0:
        return Outline(flat, None, box.label, box.score)
    corners = tuple(value for corner in box_corners(box) for value in corner)
    return Outline(flat, corners, box.label, box.score)


def iou(first: Box, second: Box) -> float:
    """Return the continuous IoU of two boxes, rotated ones by polygon clipping; 0 if both are empty."""
    return float(iou_table([outline_of(first)], [outline_of(second)])[0, 0])


def iou_table(
    predicted: Sequence[Outline],
    reference: Sequence[Outline],
    kind: IouKind = "continuous",
    size_px: Size = (1.0, 1.0),
) -> NDArray[np.float64]:
    """Return the IoU of every predicted box with every reference box.

    Args:
        predicted: Boxes of the answer.
        reference: Boxes of the reference.
        kind: Which definition.
        size_px: Width and height of the picture; only the kinds that count on a 0..100 or 0..1 grid read it.

    Shapes:
        ``(P, R)``; 0 where both boxes are empty.
    """
    intersection_PR, union_PR = overlap_tables(predicted, reference, kind, size_px)
    return np.divide(intersection_PR, union_PR, out=np.zeros_like(union_PR), where=union_PR > 0)


def overlap_tables(
    predicted: Sequence[Outline],
    reference: Sequence[Outline],
    kind: IouKind = "continuous",
    size_px: Size = (1.0, 1.0),
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return intersection and union areas of every pair, in square units of the grid of ``kind`` (pixels by default).

    Raises:
        ConfigError: If the kind is unknown.
    """
    if kind not in get_args(IouKind):
        raise ConfigError(f"Unknown kind of IoU {kind!r}. Known: {', '.join(get_args(IouKind))}.")
    if not predicted or not reference:
        empty = np.zeros((len(predicted), len(reference)))
        return empty, empty.copy()
    is_oriented = any(box.corners for box in predicted) or any(box.corners for box in reference)
    if kind == "continuous" and is_oriented:
        return _polygon_tables(predicted, reference)
    first_P4, second_R4 = _flats(predicted, kind, size_px), _flats(reference, kind, size_px)
    return _flat_tables(first_P4, second_R4, 1.0 if kind.startswith("plus_one") else 0.0)


def area(box: Outline) -> float:
    """Return the area of an outline, square pixels."""
    if box.corners:
        return float(polygons([box])[0].area)
    return max(box.flat[2] - box.flat[0], 0.0) * max(box.flat[3] - box.flat[1], 0.0)


def corners_of(box: Outline) -> tuple[float, ...]:
    """Return ``x1, y1 .. x4, y4`` around an outline."""
    x_min, y_min, x_max, y_max = box.flat
    return box.corners or (x_min, y_min, x_max, y_min, x_max, y_max, x_min, y_max)


def polygons(boxes: Sequence[Outline]) -> NDArray[np.object_]:
    """Return outlines as shapely polygons; corners that cross each other are replaced by their hull."""
    import shapely

    rings = [corners_of(box) for box in boxes]
    shapes_N: NDArray[np.object_] = shapely.polygons(np.array(rings, dtype=np.float64).reshape(len(rings), 4, 2))
    is_crossed_N = ~shapely.is_valid(shapes_N)
    shapes_N[is_crossed_N] = shapely.convex_hull(shapes_N[is_crossed_N])
    return shapes_N


def union_iou(predicted: Sequence[Outline], reference: Sequence[Outline]) -> float:
    """Return the IoU of the area that all predicted boxes cover together with that of all reference boxes."""
    import shapely

    if not predicted or not reference:
        return 0.0
    covered, wanted = shapely.union_all(polygons(predicted)), shapely.union_all(polygons(reference))
    union = covered.union(wanted).area
    return float(covered.intersection(wanted).area / union) if union > 0 else 0.0


def _flats(boxes: Sequence[Outline], kind: IouKind, size_px: Size) -> NDArray[np.float64]:
    flats_N4 = np.array([box.flat for box in boxes], dtype=np.float64)
    if kind in _GRID:
        flats_N4 *= _GRID[kind] / np.array([*size_px, *size_px])
    return flats_N4


def _flat_tables(
    first_P4: NDArray[np.float64], second_R4: NDArray[np.float64], extra: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    low_PR2 = np.maximum(first_P4[:, None, :2], second_R4[None, :, :2])
    high_PR2 = np.minimum(first_P4[:, None, 2:], second_R4[None, :, 2:])
    intersection_PR = np.maximum(high_PR2 - low_PR2 + extra, 0.0).prod(axis=2)
    areas_P = np.maximum(first_P4[:, 2:] - first_P4[:, :2] + extra, 0.0).prod(axis=1)
    areas_R = np.maximum(second_R4[:, 2:] - second_R4[:, :2] + extra, 0.0).prod(axis=1)
    return intersection_PR, areas_P[:, None] + areas_R[None, :] - intersection_PR


def _polygon_tables(
    predicted: Sequence[Outline], reference: Sequence[Outline]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    import shapely

    first_P, second_R = polygons(predicted), polygons(reference)
    intersection_PR = np.zeros((len(first_P), len(second_R)))
    # Clipping is slow, so only pairs whose hulls meet are clipped.
    bounds_P4, bounds_R4 = shapely.bounds(first_P), shapely.bounds(second_R)
    meets_PR = _flat_tables(bounds_P4, bounds_R4, 0.0)[0] > 0
    rows, columns = np.nonzero(meets_PR)
    intersection_PR[rows, columns] = shapely.area(shapely.intersection(first_P[rows], second_R[columns]))
    return intersection_PR, shapely.area(first_P)[:, None] + shapely.area(second_R)[None, :] - intersection_PR
