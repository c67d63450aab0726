"""Change detection: the pixels that changed between two dates, pooled over all pairs and per pair."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from geoprose.core.errors import ConfigError
from geoprose.evaluation.metrics.base import Item, Judged, Judgement
from geoprose.evaluation.metrics.jackknife import block_of, jackknife_scores
from geoprose.evaluation.metrics.labels.classification import summarise_pairs
from geoprose.evaluation.metrics.masks.masks import Counts
from geoprose.evaluation.metrics.masks.masks_read import MaskPair, mask_problem_table, read_masks
from geoprose.evaluation.metrics.ratio import ratio_scores

if TYPE_CHECKING:
    from collections.abc import Sequence

Score = Literal["f1", "iou", "precision", "recall", "oa", "kappa", "pair_f1", "pair_iou"]
Unread = Literal["wrong", "no_change"]
_NAMES: dict[Score, str] = {
    **{"f1": "F1 of change", "iou": "IoU of change", "precision": "precision", "recall": "recall"},
    **{"oa": "OA", "kappa": "kappa", "pair_f1": "mean F1 per pair", "pair_iou": "mean IoU per pair"},
}


class ChangeDetection:
    """F1 of the change class over the pixels of all pairs; precision, recall, IoU, OA and kappa beside it.

    Args:
        score: Which figure is the score. Those named ``pair_*`` are means over pairs, where a pair without change that
            is answered without change counts 1.
        unread: What an answer without a readable map stands for: every pixel wrong, or "no change".

    Raises:
        ConfigError: If an option has no such value.

    Source:
        Chen and Shi, LEVIR-CD, Remote Sensing 2020; Bandara and Patel, ChangeFormer (arXiv:2201.01293): precision,
        recall, F1 and IoU of the change class, OA, from one confusion matrix of all pixels. Kappa: Cohen, 1960.
    """

    is_accuracy = True
    is_itemwise = False

    def __init__(self, *, score: Score = "f1", unread: Unread = "wrong") -> None:
        if score not in _NAMES or unread not in ("wrong", "no_change"):
            raise ConfigError(
                f"score is one of {', '.join(_NAMES)} and unread is wrong or no_change, not {score}, {unread}."
            )
        self.score, self.unread, self.name = score, unread, _NAMES[score]

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge the items together."""
        pairs = [read_masks(item) for item in items]
        counts = [self._counts(pair) for pair in pairs]
        judgements = tuple(
            Judgement(score, not pair.problem, pair.kind, {"pair_f1": count.f1, "pair_iou": count.iou})
            for score, pair, count in zip(self._scores(counts), pairs, counts, strict=True)
        )
        pooled = pool(counts)
        pixels = {name: float(value) for name, value in pooled._asdict().items()}
        corpus = {**figures(pooled), **pixels} if items else {}
        return Judged(judgements, corpus, {"masks": mask_problem_table(items, pairs)})

    def _counts(self, pair: MaskPair) -> Counts:
        if not pair.problem or self.unread == "no_change":
            return pair.counts
        # Why not "no change": most pixels have not changed, so saying nothing would score well.
        changed = pair.counts.both + pair.counts.only_reference
        return Counts(0, pair.counts.only_predicted + pair.counts.neither, changed, 0)

    def _scores(self, counts: Sequence[Counts]) -> list[float]:
        if self.score in ("pair_f1", "pair_iou"):
            return [count.f1 if self.score == "pair_f1" else count.iou for count in counts]
        if self.score == "kappa":
            return jackknife_scores(
                kappa(pool(counts)),
                lambda block: kappa(pool([c for p, c in enumerate(counts) if block_of(p, len(counts)) != block])),
                len(counts),
            )
        parts = [_ratio(count, self.score) for count in counts]
        return ratio_scores([top for top, _ in parts], [bottom for _, bottom in parts])


def pool(counts: Sequence[Counts]) -> Counts:
    """Return the pixels of all pairs together."""
    return Counts(*(sum(column) for column in zip(*counts, strict=True))) if counts else Counts(0, 0, 0, 0)


def figures(counts: Counts) -> dict[str, float]:
    """Return precision, recall, F1 and IoU of the change class, OA and kappa; 0 where there is nothing to divide by."""
    named: tuple[Score, ...] = ("precision", "recall", "f1", "iou", "oa")
    parts = {name: _ratio(counts, name) for name in named}
    values: dict[str, float] = {name: top / bottom if bottom else 0.0 for name, (top, bottom) in parts.items()}
    return {**values, "kappa": kappa(counts)}


def kappa(counts: Counts) -> float:
    """Return Cohen's kappa of two masks, 0 when chance alone would agree everywhere."""
    names = (("change", "change"), ("same", "change"), ("change", "same"), ("same", "same"))
    return summarise_pairs(dict(zip(names, counts, strict=True))).kappa


def _ratio(counts: Counts, score: Score) -> tuple[float, float]:
    """Return what stands above and below the line of a pooled figure."""
    both, only_predicted, only_reference, _ = counts
    below = {
        "precision": both + only_predicted,
        "recall": both + only_reference,
        "iou": both + only_predicted + only_reference,
    }
    if score in below:
        return float(both), float(below[score])
    if score == "oa":
        return float(both + counts.neither), float(sum(counts))
    return 2.0 * both, float(2 * both + only_predicted + only_reference)
