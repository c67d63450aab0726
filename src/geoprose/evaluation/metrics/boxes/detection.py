"""Detection: mean average precision over classes, for horizontal and oriented boxes."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geoprose.answers.iou import IouKind, Outline, iou_table
from geoprose.answers.normalise import normalise_answer
from geoprose.evaluation.metrics.base import Item, Judged, Judgement
from geoprose.evaluation.metrics.boxes.boxes import BoxPair, problem_table, read_pair
from geoprose.evaluation.metrics.boxes.detection_ap import Interpolation, average_precision, precision_recall
from geoprose.evaluation.metrics.boxes.detection_matching import MatchRule, Ranked, match_ranked
from geoprose.evaluation.metrics.jackknife import MAX_BLOCKS, block_of, jackknife_scores
from geoprose.evaluation.metrics.unavailable import SCORE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from geoprose.core.types import JsonValue

ONE_CLASS = "object"
"""Class of every box where the references name none."""
Found = dict[str, list[tuple[int, Ranked]]]
"""Class -> (place of the item, its ranked detections)."""


class Scene(NamedTuple):
    """The boxes of one class in one item."""

    predicted: list[Outline]
    reference: list[Outline]
    is_difficult: list[bool]


class Stack(NamedTuple):
    """The detections of one class over the whole set, and how many references each block of items has.

    Shapes:
        ``D`` detections in the order of the items; ``B`` blocks that leave the set together (see ``jackknife``).
    """

    scores_D: NDArray[np.float64]
    is_right_D: NDArray[np.bool_]
    blocks_D: NDArray[np.int64]
    references_B: NDArray[np.int64]


class Detection:
    """Mean average precision: the mean over classes that have references.

    Boxes are ranked by the confidence under their place ("0", "1", ...) in the item's scores. Generated text has none:
    then every box ranks alike, which ``ranking`` says, and with ``is_tied_together`` the value is that of one operating
    point (precision times recall) and does not depend on the order of the boxes. Difficult references are ignored.

    Args:
        iou: Which definition of IoU.
        threshold: Smallest IoU that counts.
        interpolation: How the area under the curve is taken.
        rule: Which reference a detection is compared with.
        is_tied_together: Take boxes of equal confidence as one step; else in the order of answer and file.

    Source:
        Everingham et al., The PASCAL VOC challenge, 2010; Xia et al., DOTA (arXiv:1711.10398).
    """

    is_accuracy = True
    is_itemwise = False

    def __init__(
        self,
        *,
        iou: IouKind = "continuous",
        threshold: float = 0.5,
        interpolation: Interpolation = "area",
        rule: MatchRule = "voc",
        is_tied_together: bool = True,
    ) -> None:
        self.iou, self.rule, self.interpolation = iou, rule, interpolation
        self.thresholds: tuple[float, ...] = (threshold,)
        self.is_tied_together = is_tied_together
        self.max_detections = 2**31
        self.name = f"mAP@{threshold:g}"

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge the items together."""
        pairs = [read_pair(item) for item in items]
        scenes = split_by_class(pairs)
        by_threshold = [self._match(scenes, threshold, pairs) for threshold in self.thresholds]
        stacks = [stack(found, len(items)) for found in by_threshold]
        per_class = self._per_class(stacks)

        def without(block: int) -> float:
            return _mean(self._per_class(stacks, block))

        scores = jackknife_scores(_mean(per_class), without, len(items))
        judgements = _judgements(items, pairs, scores, by_threshold[0])
        tables: dict[str, JsonValue] = {
            "per_class": _class_table(per_class, by_threshold[0]),
            "ranking": describe_ranking(pairs),
            "problems": problem_table(pairs),
        }
        why = {} if per_class or not items else {SCORE: "no item has a reference box that is not difficult"}
        return Judged(judgements, _pooled(by_threshold[0]) if items else {}, tables, why)

    def _match(self, scenes: dict[str, dict[int, Scene]], threshold: float, pairs: Sequence[BoxPair]) -> Found:
        found: Found = defaultdict(list)
        for label, by_place in scenes.items():
            for place, scene in by_place.items():
                table_PR = iou_table(scene.predicted, scene.reference, self.iou, pairs[place].size_px)
                ranked = match_ranked(table_PR, _confidences(scene), scene.is_difficult, threshold, self.rule)
                most = self.max_detections
                found[label].append((place, Ranked(ranked.scores[:most], ranked.is_right[:most], ranked.num_reference)))
        return found

    def _per_class(self, stacks: Sequence[dict[str, Stack]], left_out: int | None = None) -> dict[str, float]:
        """Return the average precision of each class with references, the mean over the thresholds."""
        per_class: dict[str, list[float]] = defaultdict(list)
        for by_class in stacks:
            for label, one in by_class.items():
                keep_D = slice(None) if left_out is None else one.blocks_D != left_out
                num_reference = int(one.references_B.sum()) - (
                    0 if left_out is None else int(one.references_B[left_out])
                )
                if num_reference:
                    curve = precision_recall(
                        one.scores_D[keep_D], one.is_right_D[keep_D], num_reference, self.is_tied_together
                    )
                    per_class[label].append(average_precision(*curve, self.interpolation))
        return {label: sum(values) / len(values) for label, values in per_class.items()}


def stack(found: Found, num_items: int) -> dict[str, Stack]:
    """Return the ranked detections of each class as columns over the whole set."""
    stacks = {}
    for label, listed in found.items():
        references_B = np.zeros(MAX_BLOCKS, dtype=np.int64)
        for place, ranked in listed:
            references_B[block_of(place, num_items)] += ranked.num_reference
        stacks[label] = Stack(
            np.array([score for _, ranked in listed for score in ranked.scores], dtype=np.float64),
            np.array([flag for _, ranked in listed for flag in ranked.is_right], dtype=np.bool_),
            np.array([block_of(place, num_items) for place, r in listed for _ in r.scores], dtype=np.int64),
            references_B,
        )
    return stacks


def split_by_class(pairs: Sequence[BoxPair]) -> dict[str, dict[int, Scene]]:
    """Return the boxes by class and item.

    A predicted box without a label takes the class of the references where the item has only one, else the phrase that
    was asked for; without either it stays without a class and counts as wrong.
    """
    has_labels = any(box.label for pair in pairs for box in pair.reference)
    scenes: dict[str, dict[int, Scene]] = defaultdict(dict)
    for place, pair in enumerate(pairs):
        labels = [normalise_answer(box.label) if has_labels else ONE_CLASS for box in pair.reference]
        only = labels[0] if len(set(labels)) == 1 else normalise_answer(pair.phrase)
        for label, box, flag in zip(labels, pair.reference, pair.is_difficult, strict=True):
            scene = scenes[label].setdefault(place, Scene([], [], []))
            scene.reference.append(box)
            scene.is_difficult.append(flag)
        for box in pair.predicted:
            label = (normalise_answer(box.label) or only) if has_labels else ONE_CLASS
            scenes[label].setdefault(place, Scene([], [], [])).predicted.append(box)
    return scenes


def describe_ranking(pairs: Sequence[BoxPair]) -> dict[str, JsonValue]:
    """Say how boxes could be ranked: ``given``, ``none`` (all alike) or ``partly`` (boxes without confidence last)."""
    boxes = [box for pair in pairs for box in pair.predicted]
    scored = sum(box.score is not None for box in boxes)
    how = "given" if boxes and scored == len(boxes) else "partly" if scored else "none"
    return {"scores": how, "num_boxes": len(boxes), "num_with_score": scored}


def _confidences(scene: Scene) -> list[float]:
    if all(box.score is None for box in scene.predicted):
        return [1.0] * len(scene.predicted)
    return [-math.inf if box.score is None else box.score for box in scene.predicted]


def _judgements(
    items: Sequence[Item], pairs: Sequence[BoxPair], scores: Sequence[float], found: Found
) -> tuple[Judgement, ...]:
    counts = [[0, 0, 0] for _ in items]
    for listed in found.values():
        for place, ranked in listed:
            counts[place][0] += sum(ranked.is_right)
            counts[place][1] += len(ranked.is_right)
            counts[place][2] += ranked.num_reference
    return tuple(
        Judgement(score, bool(pair.predicted) or not pair.reference, item.prediction.strip(), {"f1": _f1(*count)})
        for score, pair, item, count in zip(scores, pairs, items, counts, strict=True)
    )


def _f1(right: int, predicted: int, reference: int) -> float:
    return 2 * right / (predicted + reference) if predicted + reference else 1.0


def _pooled(found: Found) -> dict[str, float]:
    """Return counts over all classes, and precision, recall and F1 without any ranking."""
    every = [ranked for listed in found.values() for _, ranked in listed]
    right = sum(sum(ranked.is_right) for ranked in every)
    predicted, reference = sum(len(r.is_right) for r in every), sum(r.num_reference for r in every)
    known = {label for label, listed in found.items() if any(ranked.num_reference for _, ranked in listed)}
    stray = sum(len(r.is_right) for label, listed in found.items() if label not in known for _, r in listed)
    return {
        "num_predicted": float(predicted),
        "num_reference": float(reference),
        "num_of_unknown_class": float(stray),
        "precision": right / predicted if predicted else 0.0,
        "recall": right / reference if reference else 0.0,
        "pooled_f1": _f1(right, predicted, reference),
    }


def _class_table(per_class: dict[str, float], found: Found) -> dict[str, JsonValue]:
    return {
        label: {
            "ap": value,
            "num_reference": sum(ranked.num_reference for _, ranked in found[label]),
            "num_predicted": sum(len(ranked.scores) for _, ranked in found[label]),
        }
        for label, value in sorted(per_class.items())
    }


def _mean(values: dict[str, float]) -> float:
    return sum(values.values()) / len(values) if values else 0.0
