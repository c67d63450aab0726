"""Average precision by hand, against pycocotools, and against published values."""

from __future__ import annotations

import contextlib
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from geoprose.core.errors import ConfigError
from geoprose.evaluation.metrics.base import Item, Judged
from geoprose.evaluation.metrics.boxes.boxes import read_pair
from geoprose.evaluation.metrics.boxes.detection import Detection, split_by_class
from geoprose.evaluation.metrics.boxes.detection_ap import average_precision, precision_recall
from geoprose.evaluation.metrics.boxes.detection_coco import CocoDetection, to_coco
from geoprose.evaluation.metrics.boxes.detection_matching import match_ranked
from geoprose.evaluation.protocols import load_protocol

if TYPE_CHECKING:
    from pathlib import Path


def _mean(judged: Judged) -> float:
    return sum(judgement.score for judgement in judged.judgements) / len(judged.judgements)


def _item(
    name: str, boxes: list[tuple[list[float], str, float | None]], truth: list[tuple[list[float], str]], **meta: Any
) -> Item:
    """Write boxes in pixels of a 100 px picture as Qwen3-VL does, confidences under their place."""
    text = json.dumps([{"bbox_2d": [round(10 * side) for side in box], "label": label} for box, label, _ in boxes])
    scores = {str(place): score for place, (_, _, score) in enumerate(boxes) if score is not None}
    meta = {"boxes": [box for box, _ in truth], "box_labels": [label for _, label in truth], **meta}
    return Item(name, text, ("",), (100, 100), None, frozenset(), scores, "qwen3_vl", "geoprose", meta)


SHIP, FAR = [10, 10, 20, 20], [50, 50, 60, 60]


def test_average_precision_by_hand() -> None:
    # right, wrong, right of three references: precision 1, 1/2, 2/3 at recall 1/3, 1/3, 2/3
    curve = precision_recall([0.9, 0.8, 0.7], [True, False, True], 3)
    assert curve[0] == pytest.approx([1, 1 / 2, 2 / 3])
    assert curve[1] == pytest.approx([1 / 3, 1 / 3, 2 / 3])
    assert average_precision(*curve, "area") == pytest.approx(1 / 3 + 2 / 9)
    assert average_precision(*curve, "11_point") == pytest.approx((4 * 1 + 3 * 2 / 3) / 11)
    assert average_precision(*curve, "101_point") == pytest.approx((34 * 1 + 33 * 2 / 3) / 101)
    assert average_precision(*precision_recall([], [], 3)) == 0.0
    with pytest.raises(ConfigError, match="101_point"):
        average_precision(*curve, "5_point")  # type: ignore[arg-type]


def test_ties_together_do_not_depend_on_the_order() -> None:
    first = precision_recall([1, 1, 1], [True, False, False], 2, is_tied_together=True)
    last = precision_recall([1, 1, 1], [False, False, True], 2, is_tied_together=True)
    assert average_precision(*first) == average_precision(*last) == pytest.approx(1 / 3 * 1 / 2)
    assert average_precision(*precision_recall([1, 1, 1], [False, False, True], 2)) == pytest.approx(1 / 2 * 1 / 3)
    assert average_precision(*precision_recall([1, 1, 1], [True, False, False], 2)) == pytest.approx(1 / 2)


def test_voc_and_coco_match_differently() -> None:
    """The second box overlaps the taken reference most: wrong for VOC, right for COCO by the other reference."""
    table = np.array([[0.9, 0.1], [0.8, 0.6]])
    assert match_ranked(table, [0.9, 0.8], [False, False], 0.5, "voc").is_right == [True, False]
    assert match_ranked(table, [0.9, 0.8], [False, False], 0.5, "coco").is_right == [True, True]


@pytest.mark.parametrize("rule", ["voc", "coco"])
def test_difficult_references_are_ignored(rule: Any) -> None:
    ranked = match_ranked(np.array([[0.9], [0.8]]), [0.9, 0.8], [True], 0.5, rule)
    assert (ranked.is_right, ranked.num_reference) == ([], 0)
    items = [
        _item(
            "a", [(SHIP, "ship", None), (FAR, "ship", None)], [(SHIP, "ship"), (FAR, "ship")], difficult=[True, False]
        )
    ]
    assert _mean(Detection(rule=rule).judge(items)) == pytest.approx(1.0)


def test_generated_boxes_have_one_operating_point() -> None:
    items = [_item("a", [(FAR, "ship", None), (SHIP, "ship", None)], [(SHIP, "ship"), ([80, 80, 90, 90], "ship")])]
    judged = Detection().judge(items)
    assert _mean(judged) == pytest.approx(0.5 * 0.5)  # precision x recall
    assert judged.tables["ranking"] == {"scores": "none", "num_boxes": 2, "num_with_score": 0}
    assert judged.corpus["pooled_f1"] == pytest.approx(0.5)
    assert judged.judgements[0].extras == {"f1": pytest.approx(0.5)}


def test_file_order_changes_the_flagged_variant_and_not_the_default() -> None:
    right, wrong = (SHIP, "ship", None), (FAR, "ship", None)
    truth = [(SHIP, "ship")]
    protocol = load_protocol("detection")
    values = {
        name: {
            _mean(protocol.metric(name).judge([_item("a", boxes, truth)])) for boxes in ([right, wrong], [wrong, right])
        }
        for name in ("ap-0.5", "ap-0.5-file-order")
    }
    assert len(values["ap-0.5"]) == 1
    assert values["ap-0.5-file-order"] == {1.0, 0.5}
    assert protocol.variants["ap-0.5-file-order"].fault


def test_classes() -> None:
    """One class found, one missed, one named that no reference has."""
    items = [
        _item("a", [(SHIP, "Ship.", 0.9), (FAR, "yacht", 0.9)], [(SHIP, "ship")]),
        _item("b", [], [(FAR, "bridge")]),
    ]
    judged = Detection().judge(items)
    assert _mean(judged) == pytest.approx(0.5)
    assert judged.tables["per_class"] == {
        "bridge": {"ap": 0.0, "num_reference": 1, "num_predicted": 0},
        "ship": {"ap": 1.0, "num_reference": 1, "num_predicted": 1},
    }
    assert judged.corpus["num_of_unknown_class"] == 1.0
    assert judged.corpus["precision"] == pytest.approx(0.5)


def test_a_box_without_label_takes_the_only_class_of_the_picture() -> None:
    assert _mean(Detection().judge([_item("a", [(SHIP, "", None)], [(SHIP, "ship")])])) == 1.0
    two = _item("a", [(SHIP, "", None)], [(SHIP, "ship"), (FAR, "bridge")])
    judged = Detection().judge([two])
    assert (_mean(judged), judged.corpus["num_of_unknown_class"]) == (0.0, 1.0)


def test_inventing_objects_of_an_absent_class_costs() -> None:
    """One question per picture and class; the second picture has no ship, and the boxes carry no label."""
    found = _item("a", [(SHIP, "", None)], [(SHIP, "ship")], phrase="ship")
    invented = _item("b", [(FAR, "", None)], [], phrase="ship")
    assert _mean(Detection().judge([found, _item("b", [], [], phrase="ship")])) == 1.0
    assert _mean(Detection().judge([found, invented])) == pytest.approx(0.5)


def test_no_references_is_said() -> None:
    judged = Detection().judge([_item("a", [(SHIP, "ship", None)], [])])
    assert "no item has a reference box" in judged.unavailable["score"]
    assert "no reference boxes" in CocoDetection().judge([_item("a", [], [])]).unavailable["coco_*"]


def test_oriented_boxes_are_compared_as_polygons() -> None:
    """DOTA style: two crossed thin boxes share their hull and little area."""
    crossed = Item(
        "a",
        "[[20, 45, 80, 55, 45]]",
        ("",),
        (100, 100),
        codec="earthdial",
        meta={"boxes": [[25, 68, 68, 25, 75, 32, 32, 75]]},
    )
    assert _mean(Detection().judge([crossed])) == 0.0
    same = Item(
        "a",
        "[[20, 45, 80, 55, 45]]",
        ("[[20, 45, 80, 55, 45]]",),
        (100, 100),
        None,
        codec="earthdial",
        reference_codec="earthdial",
    )
    assert _mean(Detection().judge([same])) == 1.0
    assert "oriented" in CocoDetection().judge([same]).unavailable["coco_*"]


def _random_items(seed: int, count: int = 40) -> list[Item]:
    rng = np.random.default_rng(seed)
    items = []
    for number in range(count):
        lows, sides = rng.uniform(0, 60, (6, 2)), rng.uniform(4, 40, (6, 2))
        truth = [
            (np.round(np.r_[low, low + side], 1).tolist(), "ab"[k % 2])
            for k, (low, side) in enumerate(zip(lows, sides, strict=True))
        ]
        noise = rng.normal(0, 2.0, (6, 4))
        boxes = [
            (np.clip(np.round(np.array(box) + shift, 1), 0, 100).tolist(), label, float(np.round(rng.random(), 3)))
            for (box, label), shift in zip(truth, noise, strict=True)
        ]
        items.append(_item(str(number), boxes[: rng.integers(1, 7)], truth[: rng.integers(1, 7)]))
    return items


def _pycocotools(items: list[Item]) -> np.ndarray:
    coco = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    truth, detections = to_coco(split_by_class([read_pair(item) for item in items]), len(items))
    with contextlib.redirect_stdout(io.StringIO()):
        reference = coco.COCO()
        reference.dataset = {**truth, "info": {}}
        reference.createIndex()
        evaluation = cocoeval.COCOeval(reference, reference.loadRes(detections), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


@pytest.mark.parametrize("seed", [0, 1])
def test_equal_to_pycocotools(seed: int) -> None:
    items = _random_items(seed)
    stats = _pycocotools(items)
    judged = CocoDetection().judge(items)
    assert _mean(judged) == pytest.approx(stats[0], abs=1e-9)  # our own matching and curve
    named = ("AP_all", "AP_50", "AP_75", "AP_small", "AP_medium", "AP_large")
    assert 0.1 < stats[0] < 0.9
    for name, value in zip(named, stats[:6], strict=True):
        if value >= 0:
            assert judged.corpus[f"coco_{name}"] == pytest.approx(value, abs=1e-9), name
    # Negative control: another threshold is another number.
    assert _mean(
        Detection(rule="coco", interpolation="101_point", is_tied_together=False).judge(items)
    ) == pytest.approx(stats[1], abs=1e-9)
    assert stats[1] > stats[0] + 0.05


def test_without_the_package_the_score_stays_and_the_rest_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    items = _random_items(2, 6)
    with_package = _mean(CocoDetection().judge(items))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    judged = CocoDetection().judge(items)
    assert _mean(judged) == with_package
    assert "faster-coco-eval" in judged.unavailable["coco_*"]


def _read_vectors(folder: Path) -> list[Item]:
    items = []
    for path in sorted((folder / "groundtruths").glob("*.txt")):
        rows = [line.split() for line in path.read_text().splitlines() if line.strip()]
        found = [line.split() for line in (folder / "detections" / path.name).read_text().splitlines() if line.strip()]

        def corners(numbers: list[str]) -> list[float]:
            x, y, width, height = map(float, numbers)
            return [x, y, x + width, y + height]

        text = json.dumps([{"bbox_2d": corners(row[2:]), "label": row[0]} for row in found])
        meta: dict[str, Any] = {"boxes": [corners(row[1:]) for row in rows], "box_labels": [row[0] for row in rows]}
        scores = {str(place): float(row[1]) for place, row in enumerate(found)}
        items.append(
            Item(path.stem, text, ("",), (300, 300), None, frozenset(), scores, "qwen2_5_vl", "geoprose", meta)
        )
    return items


@pytest.mark.data
def test_published_values_of_object_detection_metrics(shared_data: Path) -> None:
    """rafaelpadilla/Object-Detection-Metrics: IoU 0.3, inclusive pixels: 11-point 26.84 %, every point 24.57 %."""
    items = _read_vectors(shared_data / "metric_vectors" / "detection_ap")
    plus_one: dict[str, Any] = {"iou": "plus_one_pixels", "threshold": 0.3, "is_tied_together": False}
    area = _mean(Detection(**plus_one).judge(items))
    points = _mean(Detection(**plus_one, interpolation="11_point").judge(items))
    assert f"{100 * area:.2f}" == "24.57"
    assert f"{100 * points:.2f}" == "26.84"


def test_committed_vector() -> None:
    """Seven boxes over three pictures, worked out by hand with VOC's rule at IoU 0.5.

    Ranked: right, wrong (same ship again), right, wrong, right of four references: precision 1, 1/2, 2/3, 1/2, 3/5 at
    recall 1/4, 1/4, 2/4, 2/4, 3/4; the envelope is 1, 2/3, 2/3, 3/5, 3/5.
    """
    items = [
        _item("a", [(SHIP, "ship", 0.95), ([10, 10, 20, 19], "ship", 0.9)], [(SHIP, "ship"), (FAR, "ship")]),
        _item("b", [(FAR, "ship", 0.8), (SHIP, "ship", 0.7)], [(FAR, "ship")]),
        _item("c", [(SHIP, "ship", 0.6)], [(SHIP, "ship")]),
    ]
    metric = Detection(is_tied_together=False)
    assert _mean(metric.judge(items)) == pytest.approx((1 + 2 / 3 + 3 / 5) / 4)
    eleven = Detection(is_tied_together=False, interpolation="11_point")
    assert _mean(eleven.judge(items)) == pytest.approx((3 * 1 + 3 * 2 / 3 + 2 * 3 / 5) / 11)
    assert _mean(Detection(iou="plus_one_pixels").judge(items)) == pytest.approx(_mean(Detection().judge(items)))


def test_plus_one_pixels_finds_small_objects_that_were_missed() -> None:
    items = [_item("a", [([10, 10, 12, 12], "ship", None)], [([11, 10, 13, 12], "ship")])]
    protocol = load_protocol("detection")
    assert _mean(protocol.metric("ap-0.5").judge(items)) == 0.0
    assert _mean(protocol.metric("voc-area-plus-one").judge(items)) == 1.0
    assert {name for name, v in protocol.variants.items() if v.fault} == {
        *("ap-0.5-file-order", "voc-area-plus-one", "voc-11-point-plus-one")
    }
