"""EarthDial's result files: classes, questions, captions, boxes. They name neither ids nor pictures."""

from __future__ import annotations

from typing import Any

from geoprose.evaluation.layouts.base import Layout, PredictionRow, Record
from geoprose.evaluation.layouts.fields import first_of, text

_CAPTIONS = tuple(f"caption{number}" for number in range(5))


def _read(record: Record) -> PredictionRow:
    captions = tuple(text(record.get(name)).strip() for name in _CAPTIONS)
    references = tuple(caption for caption in captions if caption)
    if not references:
        truth = text(first_of(record, "annotation", "gt_bbox", "groundtruth"))
        references = (truth,) if truth else ()
    meta: dict[str, Any] = {}
    if text(record.get("size_group")):
        meta["size_group"] = text(record["size_group"])
    if text(record.get("task_type")):
        meta["category"] = text(record["task_type"])
    return PredictionRow(
        id="",
        prediction=text(record["answer"]),
        references=references,
        type=text(record.get("vqa_type")),
        prompt=text(record["question"]),
        meta=meta,
    )


EARTHDIAL = Layout(
    name="earthdial",
    title="EarthDial results (JSONL): classes, VQA, captions, boxes",
    source="hiyamdebary/EarthDial src/earthdial/eval/*/results/*.jsonl",
    keys=(
        frozenset({"question", "answer", "annotation"}),
        frozenset({"question", "answer", "annotation", "vqa_type"}),
        frozenset({"question", "answer", "annotation", "task_type", "size_group"}),
        frozenset({"question", "answer", "gt_bbox"}),
        frozenset({"question", "answer", "gt_bbox", "task_type", "size_group"}),
        frozenset({"question", "answer", "groundtruth"}),
        frozenset({"question", "answer", *_CAPTIONS}),
    ),
    read=_read,
    codec="earthdial",
    reference_codec="earthdial",
)
