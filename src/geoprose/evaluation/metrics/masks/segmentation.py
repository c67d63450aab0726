"""Referring segmentation: how well the mask of an answer covers what was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from geoprose.core.errors import ConfigError
from geoprose.evaluation.metrics.base import Item, Judged, Judgement
from geoprose.evaluation.metrics.masks.masks_read import MaskPair, mask_problem_table, read_masks
from geoprose.evaluation.metrics.ratio import ratio_scores

if TYPE_CHECKING:
    from collections.abc import Sequence

Score = Literal["giou", "ciou", "dice", "precision"]
THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)


class ReferringSegmentation:
    """gIoU: the mean over questions of the IoU of two masks; cIoU, Dice and Pr@0.5 to Pr@0.9 beside it.

    An answer without a readable mask scores 0, also where the reference is empty. Two empty masks agree (1).

    Args:
        score: ``giou`` (mean IoU), ``ciou`` (all intersections over all unions), ``dice`` (mean F1 of the pixels) or
            ``precision`` (the share of questions with IoU of at least the threshold).
        threshold: For ``precision``.

    Raises:
        ConfigError: If the score is unknown.

    Source:
        gIoU and cIoU: Liu et al., GRES (arXiv:2306.00968), Lai et al., LISA (arXiv:2308.00692); Pr@k and both IoUs on
        overhead imagery: Yuan et al., RRSIS (arXiv:2306.08625).
    """

    is_accuracy = True
    is_itemwise = False

    def __init__(self, *, score: Score = "giou", threshold: float = 0.5) -> None:
        names = {"giou": "gIoU", "ciou": "cIoU", "dice": "Dice", "precision": f"Pr@{threshold:g}"}
        if score not in names:
            raise ConfigError(f"Unknown score {score!r} of masks. Known: {', '.join(names)}.")
        self.score, self.threshold, self.name = score, threshold, names[score]

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge each item, and pool the pixels."""
        pairs = [read_masks(item) for item in items]
        above = [float(pair.counts.both) for pair in pairs]
        below = [float(pair.counts.both + pair.counts.only_predicted + pair.counts.only_reference) for pair in pairs]
        scores = ratio_scores(above, below) if self.score == "ciou" else [self._score(pair) for pair in pairs]
        judgements = tuple(
            Judgement(score, not pair.problem, pair.kind, _extras(pair))
            for score, pair in zip(scores, pairs, strict=True)
        )
        corpus = {"ciou": sum(above) / sum(below) if sum(below) else 0.0} if items else {}
        return Judged(judgements, corpus, {"masks": mask_problem_table(items, pairs)})

    def _score(self, pair: MaskPair) -> float:
        if pair.problem:
            return 0.0
        if self.score == "dice":
            return pair.counts.f1
        return pair.counts.iou if self.score == "giou" else float(pair.counts.iou >= self.threshold)


def _extras(pair: MaskPair) -> dict[str, float]:
    iou = 0.0 if pair.problem else pair.counts.iou
    values = {f"pr@{at:g}": float(iou >= at) for at in THRESHOLDS}
    return {**values, "iou": iou, "dice": 0.0 if pair.problem else pair.counts.f1}
