"""LLaVA's answer files; most hold no references, which come from the question file."""

from __future__ import annotations

from geoprose.evaluation.layouts.base import Layout, PredictionRow, Record
from geoprose.evaluation.layouts.fields import first_of, text, texts

_BASE = frozenset({"question_id", "prompt", "text"})


def _read(record: Record) -> PredictionRow:
    return PredictionRow(
        id=text(record["question_id"]),
        prediction=text(record["text"]),
        references=texts(first_of(record, "ground_truth", "GT", "gt", "label")),
        type=text(first_of(record, "type", "category")),
        image=text(first_of(record, "image", "image_id")),
        prompt=text(record["prompt"]),
    )


LLAVA = Layout(
    name="llava",
    title="LLaVA answers (JSONL); give the question file with --references",
    source="haotian-liu/LLaVA llava/eval/model_vqa.py and the kits made from it",
    keys=(_BASE, _BASE | {"answer_id", "model_id", "metadata"}),
    read=_read,
)
