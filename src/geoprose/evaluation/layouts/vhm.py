"""VHM's RSEvalKit result files: classes, questions, choices, counts, boxes."""

from __future__ import annotations

from typing import Any

from geoprose.evaluation.layouts.base import Layout, PredictionRow, Record
from geoprose.evaluation.layouts.fields import boxes_px, size_px, text, texts


def _read(record: Record) -> PredictionRow:
    meta: dict[str, Any] = {}
    # Source: model_eval_mp.py, eval_results_bbox: size is height and width, the reference is in pixels.
    size = size_px(record["size"], is_height_first=True)
    if size is not None:
        meta["size_px"] = size
    boxes = boxes_px(record["answer"])
    if boxes:
        meta["boxes"] = boxes
    return PredictionRow(
        id="",
        prediction=text(record["pred"]),
        references=() if boxes else texts(record["answer"]),
        image=text(record["filename"]).replace("\\", "/").rsplit("/", 1)[-1],
        prompt=text(record["query"]),
        meta=meta,
    )


VHM = Layout(
    name="vhm",
    title="VHM RSEvalKit *_eval.jsonl: classes, VQA, choices, counts, boxes",
    source="fitzpchao/RSEvalKit model_eval_mp.py",
    keys=(frozenset({"filename", "size", "query", "answer", "pred"}),),
    read=_read,
    codec="vhm",
)
