"""VRSBench's evaluation files with answers: captions, questions, referring."""

from __future__ import annotations

from typing import Any

from geoprose.evaluation.layouts.base import Layout, PredictionRow, Record
from geoprose.evaluation.layouts.fields import first_of, text, texts

_BASE = frozenset({"image_id", "question", "ground_truth", "answer", "dataset", "type"})


def _read(record: Record) -> PredictionRow:
    meta: dict[str, Any] = {}
    unique = first_of(record, "is_unique", "unique")
    if unique is not None:
        meta["is_unique"] = bool(unique)
    if text(record.get("size_group")):
        meta["size_group"] = text(record["size_group"])
    verdict = record.get("correct")  # what the published judge said of the answer
    if text(verdict):
        meta["verdict"] = int(verdict) if isinstance(verdict, bool) else text(verdict)
    if text(record.get("obj_cls")):
        meta["phrase"] = text(record["obj_cls"])
    kind = text(record.get("type"))
    identifier = text(record.get("question_id"))
    return PredictionRow(
        id=f"{text(record['image_id'])}#{identifier}" if identifier else "",
        prediction=text(record["answer"]),
        references=texts(record["ground_truth"]),
        type="" if kind in ("ref", "caption") else kind.replace("object ", ""),
        image=text(record["image_id"]),
        prompt=text(record["question"]),
        meta=meta,
    )


VRSBENCH = Layout(
    name="vrsbench",
    title="VRSBench evaluation JSON with answers: captions, VQA, referring",
    source="lx709/VRSBench eval_fianl/compute_metrics.ipynb, prepare_eval_all.ipynb",
    keys=(
        _BASE,
        _BASE | {"question_id"},
        _BASE | {"question_id", "obj_corner"},
        _BASE | {"question_id", "is_unique"},
        _BASE | {"question_id", "unique"},
        _BASE | {"question_id", "obj_cls", "obj_corner", "size_group", "unique"},
    ),
    read=_read,
    codec="vrsbench",
    reference_codec="vrsbench",
)
