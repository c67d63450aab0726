"""COCO's detection figures: its AP by our own matching, and all of its figures by faster-coco-eval."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from geoprose.evaluation.metrics.base import Item, Judged
from geoprose.evaluation.metrics.boxes.boxes import BoxPair, read_pair
from geoprose.evaluation.metrics.boxes.detection import Detection, Scene, split_by_class

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

THRESHOLDS = tuple(0.5 + 0.05 * step for step in range(10))
MAX_DETECTIONS = 100
PACKAGE = "faster_coco_eval"


class CocoDetection(Detection):
    """COCO's AP at IoU 0.50 to 0.95; AP50, AP75, by size and AR beside it when faster-coco-eval is installed.

    The score is computed by our own matching, which gives it an interval; with the package the published program runs
    as well, and ``coco_AP`` stands beside the score. Ranks are those of the file where confidences are equal, and only
    the first 100 detections of a class in a picture count.

    Source:
        Lin et al., Microsoft COCO (arXiv:1405.0312); cocoapi cocoeval.py; faster-coco-eval.
    """

    def __init__(self) -> None:
        super().__init__(interpolation="101_point", rule="coco", is_tied_together=False)
        self.thresholds = THRESHOLDS
        self.max_detections = MAX_DETECTIONS
        self.name = "COCO AP"

    def judge(self, items: Sequence[Item]) -> Judged:
        """Judge the items together."""
        judged = super().judge(items)
        pairs = [read_pair(item) for item in items]
        why = _why_not(pairs)
        if why:
            return Judged(judged.judgements, judged.corpus, judged.tables, {**judged.unavailable, "coco_*": why})
        figures = coco_figures(split_by_class(pairs), len(pairs))
        return Judged(judged.judgements, {**judged.corpus, **figures}, judged.tables, judged.unavailable)


def coco_figures(scenes: Mapping[str, Mapping[int, Scene]], num_items: int) -> dict[str, float]:
    """Return COCO's twelve figures under the names of its summary, by faster-coco-eval.

    Difficult references are passed as crowds, which COCO ignores. A figure that COCO gives as -1 (nothing of that size)
    is left out.

    Raises:
        ImportError: If faster-coco-eval is not installed.
    """
    from faster_coco_eval import COCO, COCOeval_faster  # type: ignore[import-untyped]  # ships no types

    truth, detections = to_coco(scenes, num_items)
    if not detections:
        return {"coco_AP_all": 0.0}
    reference = COCO(truth, print_function=_be_quiet)
    evaluation = COCOeval_faster(reference, reference.loadRes(detections), "bbox", print_function=_be_quiet)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return {f"coco_{name}": float(value) for name, value in evaluation.stats_as_dict.items() if value >= 0}


def to_coco(scenes: Mapping[str, Mapping[int, Scene]], num_items: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the references and the detections as COCO's JSON; only classes with references are categories."""
    known = sorted(label for label, places in scenes.items() if any(scene.reference for scene in places.values()))
    annotations: list[dict[str, Any]] = []
    detections: list[dict[str, Any]] = []
    for category, label in enumerate(known, start=1):
        for place, scene in scenes[label].items():
            common = {"image_id": place + 1, "category_id": category}
            for box, is_difficult in zip(scene.reference, scene.is_difficult, strict=True):
                sides = _xywh(box.flat)
                one = {"id": len(annotations) + 1, "bbox": sides, "area": sides[2] * sides[3]}
                annotations.append({**common, **one, "iscrowd": int(is_difficult)})
            for box in scene.predicted:
                score = 1.0 if box.score is None else box.score
                detections.append({**common, "bbox": _xywh(box.flat), "score": score})
    images = [{"id": number + 1} for number in range(num_items)]
    categories = [{"id": number, "name": label} for number, label in enumerate(known, start=1)]
    return {"images": images, "annotations": annotations, "categories": categories}, detections


def _xywh(flat: tuple[float, float, float, float]) -> list[float]:
    return [flat[0], flat[1], flat[2] - flat[0], flat[3] - flat[1]]


def _why_not(pairs: Sequence[BoxPair]) -> str:
    if not any(pair.reference for pair in pairs):
        return "no reference boxes"
    if any(box.corners for pair in pairs for box in (*pair.predicted, *pair.reference)):
        return "COCO's program compares upright boxes only, and some boxes here are oriented; the score uses polygons"
    if importlib.util.find_spec(PACKAGE) is None:
        return "needs faster-coco-eval (pip install 'geoprose[eval]')"
    return ""


def _be_quiet(*_: object) -> None:
    return None
