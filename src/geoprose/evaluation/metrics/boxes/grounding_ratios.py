"""Grounding figures that pool boxes or areas over the whole set instead of averaging over questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from geoprose.answers.iou import IouKind, area, iou_table, overlap_tables
from geoprose.core.errors import ConfigError
from geoprose.evaluation.metrics.base import Item, Judged, Judgement
from geoprose.evaluation.metrics.boxes.boxes import BoxPair, problem_table, read_pair
from geoprose.evaluation.metrics.boxes.matching import credit, match_table
from geoprose.evaluation.metrics.ratio import ratio_scores

if TYPE_CHECKING:
    from collections.abc import Sequence

Ratio = Literal[
    "box_precision", "box_recall", "box_f1", "any_match_per_predicted", "right_per_parsed", "cumulative_iou"
]
"""``box_precision``, ``box_recall``, ``box_f1``: of the one-to-one matching, pooled over all boxes.
``any_match_per_predicted``: predicted boxes that match any reference, over predicted boxes; Source: EarthDial
detection_eval.py. ``right_per_parsed``: right answers over answers that could be parsed; Source: LHRS-Bot main_vg.py
("Accuracy"). ``cumulative_iou``: all intersections over all unions of the first boxes; Source: RSVG, VRSBench notebook.
"""
_NAMES: dict[Ratio, str] = {
    "box_precision": "box precision",
    "box_recall": "box recall",
    "box_f1": "box F1",
    "any_match_per_predicted": "matched per predicted box",
    "right_per_parsed": "right per parsed answer",
    "cumulative_iou": "cumulative IoU",
}


class GroundingRatio:
    """A pooled figure: the sum over the set of one count or area, over the sum of another.

    The scores of single items are linearised (see ``ratio``): their mean is the pooled figure, and its interval holds.

    Args:
        ratio: Which figure.
        iou: Which definition of IoU.
        threshold: Smallest IoU that counts as found.

    Raises:
        ConfigError: If the ratio is unknown.
    """

    is_accuracy = True
    is_itemwise = False

    def __init__(self, *, ratio: Ratio = "box_f1", iou: IouKind = "continuous", threshold: float = 0.5) -> None:
        if ratio not in get_args(Ratio):
            raise ConfigError(f"Unknown ratio {ratio!r}. Known: {', '.join(get_args(Ratio))}.")
        self.ratio, self.iou, self.threshold = ratio, iou, threshold
        self.name = _NAMES[ratio] if ratio == "cumulative_iou" else f"{_NAMES[ratio]}@{threshold:g}"

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge the items together."""
        pairs = [read_pair(item) for item in items]
        parts = [self._parts(pair) for pair in pairs]
        scores = ratio_scores([top for top, _ in parts], [bottom for _, bottom in parts])
        judgements = tuple(
            Judgement(score, bool(pair.predicted), item.prediction.strip())
            for score, pair, item in zip(scores, pairs, items, strict=True)
        )
        totals = {"numerator": sum(top for top, _ in parts), "denominator": sum(bottom for _, bottom in parts)}
        return Judged(judgements, totals if items else {}, {"problems": problem_table(pairs)})

    def _parts(self, pair: BoxPair) -> tuple[float, float]:
        """Return what the item adds above and below the line."""
        if self.ratio == "cumulative_iou":
            return self._areas(pair)
        table_PR = iou_table(pair.predicted, pair.reference, self.iou, pair.size_px)
        if self.ratio == "right_per_parsed":
            return credit(table_PR, "single_or_all", self.threshold), float(bool(pair.predicted))
        if self.ratio == "any_match_per_predicted":
            matched = (table_PR.max(axis=1) >= self.threshold).sum() if table_PR.size else 0
            return float(matched), float(len(pair.predicted))
        found = match_table(table_PR).num_found(self.threshold)
        predicted, reference = table_PR.shape
        if self.ratio == "box_f1":
            return 2.0 * found, float(predicted + reference)
        return float(found), float(predicted if self.ratio == "box_precision" else reference)

    def _areas(self, pair: BoxPair) -> tuple[float, float]:
        if not pair.predicted or not pair.reference:
            # Why not left out, as published: a missing answer would then raise the figure.
            return 0.0, sum(area(box) for box in pair.reference[:1])
        first, wanted = pair.predicted[:1], pair.reference[:1]
        intersection, union = overlap_tables(first, wanted, self.iou, pair.size_px)
        return float(intersection[0, 0]), float(union[0, 0])
