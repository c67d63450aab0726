"""Qwen-VL's eval_mm files: questions, captions, grounding."""

from __future__ import annotations

from typing import Any

from geoprose.evaluation.layouts.base import Layout, PredictionRow, Record
from geoprose.evaluation.layouts.fields import boxes_px, first_of, size_px, text, texts


def _read(record: Record) -> PredictionRow:
    meta: dict[str, Any] = {}
    boxes = boxes_px(record.get("gt_bbox"))
    if boxes:
        meta["boxes"] = boxes
    size = size_px(record.get("hw"), is_height_first=True)
    if size is not None:
        meta["size_px"] = size
    image = text(first_of(record, "image_id", "image"))
    return PredictionRow(
        id=text(first_of(record, "question_id", "questionId")) or image,
        prediction=text(first_of(record, "answer", "caption")),
        references=() if boxes else texts(record.get("annotation")),
        image=image,
        meta=meta,
    )


def _is_not_a_list_of_boxes(record: Record) -> bool:
    """InternVL copied the grounding script with its keys; its boxes are in square brackets, Qwen's in round ones."""
    return "hw" not in record or "[" not in text(record.get("answer"))


QWEN = Layout(
    name="qwen",
    title="Qwen-VL eval_mm JSON: VQA, captions, grounding",
    source="QwenLM/Qwen-VL eval_mm/evaluate_{vqa,caption,grounding}.py",
    keys=(
        frozenset({"question_id", "answer"}),
        frozenset({"questionId", "answer"}),
        frozenset({"questionId", "answer", "annotation"}),
        frozenset({"image", "answer", "annotation"}),
        frozenset({"answer", "annotation"}),
        frozenset({"image_id", "caption"}),
        frozenset({"answer", "gt_bbox", "hw"}),
    ),
    read=_read,
    codec="qwen_vl",
    fits=_is_not_a_list_of_boxes,
)
