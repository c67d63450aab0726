"""Intersection over union and what is built on it.

Coordinates are edges, so the area of a box is width times height with no "+ 1" on the sides: that addition is only
right for inclusive integer pixels and makes random boxes on a 0..1 scale match in about 30 % of cases.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geoprose.answers.codecs import parse_answer
from geoprose.evaluation.metrics.base import Item, Judged, Judgement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.core.types import Box

UNKNOWN_SIZE_PX = (1000, 1000)
"""Stands for the chip's size where it is not known; IoU does not depend on it."""


def iou(first: Box, second: Box) -> float:
    """Return the intersection over union of two boxes, rotated ones by polygon clipping; 0 if both are empty."""
    if first.angle_deg % 180 == 0 and second.angle_deg % 180 == 0:
        width = min(first.x_max, second.x_max) - max(first.x_min, second.x_min)
        height = min(first.y_max, second.y_max) - max(first.y_min, second.y_min)
        intersection = max(width, 0.0) * max(height, 0.0)
        union = _area(first) + _area(second) - intersection
        return intersection / union if union > 0 else 0.0
    one, two = _polygon(first), _polygon(second)
    union = one.union(two).area
    return float(one.intersection(two).area / union) if union > 0 else 0.0


@dataclass(frozen=True)
class Matching:
    """Boxes of a picture matched one to one so that the sum of IoU is largest (Hungarian).

    Attributes:
        ious: IoU of each matched pair.
        num_predicted: Predicted boxes.
        num_reference: Reference boxes.
    """

    ious: tuple[float, ...]
    num_predicted: int
    num_reference: int

    def f1(self, threshold: float) -> float:
        """Return F1 of the pairs with IoU of at least ``threshold``."""
        total = self.num_predicted + self.num_reference
        return 2 * sum(value >= threshold for value in self.ious) / total if total else 1.0

    def recall(self, threshold: float) -> float:
        """Return the share of reference boxes found with IoU of at least ``threshold``."""
        return sum(value >= threshold for value in self.ious) / self.num_reference if self.num_reference else 1.0


def match_boxes(predicted: Sequence[Box], reference: Sequence[Box]) -> Matching:
    """Match predicted boxes to reference boxes one to one with the largest total IoU."""
    from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]  # scipy ships no types

    if not predicted or not reference:
        return Matching((), len(predicted), len(reference))
    table = np.array([[iou(box, truth) for truth in reference] for box in predicted])
    rows, columns = linear_sum_assignment(table, maximize=True)
    return Matching(tuple(float(v) for v in table[rows, columns]), len(predicted), len(reference))


class BoxAccuracy:
    """acc@0.5: the share of questions whose boxes are found with IoU of at least 0.5; acc@0.25 and F1 beside it.

    A question with one reference box is judged by the first predicted box; a question with several by the one-to-one
    matching, and it counts as correct only when every reference is found and nothing else is named. Unparsable answers
    stay in the denominator.
    """

    name = "acc@0.5"
    is_accuracy = True
    is_itemwise = True

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge each item on its own."""
        return Judged(tuple(self._judge(item) for item in items))

    def read(self, item: Item) -> tuple[tuple[Box, ...], tuple[Box, ...]]:
        """Return the predicted and the reference boxes of an item, in pixels of the chip."""
        size = item.size_px or UNKNOWN_SIZE_PX
        answer = parse_answer(item.prediction, item.codec, item.geometry or size)
        return answer.boxes, parse_answer(item.references[0], item.reference_codec, size).boxes

    def _judge(self, item: Item) -> Judgement:
        answer, truth = self.read(item)
        if len(truth) == 1 and answer:
            single = match_boxes(answer[:1], truth)
            at_half, at_quarter = single.f1(0.5), single.f1(0.25)
        else:
            several = match_boxes(answer, truth)
            at_half, at_quarter = float(several.f1(0.5) == 1), float(several.f1(0.25) == 1)
        matching = match_boxes(answer, truth)
        mean_iou = sum(matching.ious) / len(truth) if truth else 0.0
        extras = {"acc@0.25": at_quarter, "f1@0.5": matching.f1(0.5), "mean_iou": mean_iou}
        return Judgement(at_half, bool(answer), item.prediction.strip(), extras)


def _area(box: Box) -> float:
    return max(box.x_max - box.x_min, 0.0) * max(box.y_max - box.y_min, 0.0)


def _polygon(box: Box) -> Any:
    import shapely
    from shapely import affinity

    # The picture's y axis points down, so a turn that looks counter-clockwise is negative in these coordinates.
    flat = shapely.box(box.x_min, box.y_min, box.x_max, box.y_max)
    return affinity.rotate(flat, -box.angle_deg, origin="center")
