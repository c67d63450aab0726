"""GeoChat's answer files: scene, questions, referring, grounding."""

from __future__ import annotations

from typing import Any

from geoprose.evaluation.layouts.base import Layout, PredictionRow, Record
from geoprose.evaluation.layouts.fields import boxes_px, first_of, nested, text, texts


def _read(record: Record) -> PredictionRow:
    identifier = text(record["question_id"])
    truth = nested(record.get("ground_truth"))
    boxes = boxes_px(truth)
    references = () if boxes else texts(truth)
    if not references and not boxes and "/" in identifier:
        # Source: batch_geochat_scene.py, evaluation_metrics: the class is the folder in the question's id.
        references = (identifier.split("/")[0],)
    meta: dict[str, Any] = {"boxes": boxes} if boxes else {}
    if text(record.get("size_group")):
        meta["size_group"] = text(record["size_group"])
    kind = text(record.get("type"))
    if kind in ("ref", "grounding"):
        meta["category"] = kind
    return PredictionRow(
        id=identifier,
        prediction=text(first_of(record, "answer", "text")),
        references=references,
        type="" if "category" in meta else kind,
        image=text(first_of(record, "image_id", "image")),
        prompt=text(first_of(record, "question", "prompt")),
        meta=meta,
    )


GEOCHAT = Layout(
    name="geochat",
    title="GeoChat answers (JSONL): scene, VQA, referring, grounding",
    source="mbzuai-oryx/GeoChat geochat/eval/batch_geochat_{scene,vqa,referring,grounding}.py",
    keys=(
        frozenset({"question_id", "image_id", "answer"}),
        frozenset({"question_id", "image_id", "answer", "ground_truth"}),
        frozenset({"question_id", "image_id", "answer", "question", "type", "dataset", "obj_ids", "size_group"})
        | {"ground_truth"},
    ),
    read=_read,
    codec="geochat",
    reference_codec="geochat",
)
