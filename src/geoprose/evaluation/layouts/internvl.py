"""InternVL's internvl_chat/eval files: remote-sensing questions and detection, questions, grounding."""

from __future__ import annotations

from typing import Any

from geoprose.evaluation.layouts.base import Layout, PredictionRow, Record
from geoprose.evaluation.layouts.fields import boxes_px, first_of, size_px, text, texts


def _read(record: Record) -> PredictionRow:
    meta: dict[str, Any] = {}
    truth = first_of(record, "gt_answer", "gt_answers", "gt_bbox", "annotation")
    boxes = boxes_px(truth)
    if boxes:
        meta["boxes"] = boxes
    size = size_px(record.get("image_size")) or size_px(record.get("hw"), is_height_first=True)
    if size is not None:
        meta["size_px"] = size
    return PredictionRow(
        id=text(first_of(record, "index", "question_id", "questionId")),
        prediction=text(first_of(record, "response", "answer")),
        references=() if boxes else texts(truth),
        type=text(record.get("question_type")),
        image=text(record.get("image")),
        prompt=text(record.get("question")),
        meta=meta,
    )


INTERNVL = Layout(
    name="internvl",
    title="InternVL eval JSON: rs_vqa, rs_det, VQA, grounding",
    source="OpenGVLab/InternVL internvl_chat/eval/{domain_specific/rs_vqa,domain_specific/rs_det,vqa,refcoco}",
    keys=(
        frozenset({"question", "response", "gt_answer", "index", "question_type"}),
        frozenset({"question", "answer", "gt_answers", "image_size"}),
        frozenset({"question", "question_id", "answer", "annotation"}),
        frozenset({"question", "questionId", "answer", "annotation"}),
        frozenset({"question", "image", "answer", "annotation"}),
        frozenset({"answer", "gt_bbox", "hw"}),
    ),
    read=_read,
    codec="internvl",
    fits=lambda record: "hw" not in record or "[" in text(record.get("answer")),  # else Qwen's, with the same keys
)
