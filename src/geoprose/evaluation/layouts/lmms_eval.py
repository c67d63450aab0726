"""lmms-eval's logged samples: ``*_samples_TASK.jsonl``, and the older ``TASK.json`` with ``logs``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from geoprose.evaluation.layouts.base import Layout, PredictionRow, Record
from geoprose.evaluation.layouts.fields import first_of, nested, text, texts


def _read(record: Record) -> PredictionRow:
    found = record.get("doc")
    doc: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    answers = record["filtered_resps"]
    answer = answers[0] if isinstance(answers, list) and answers else answers
    return PredictionRow(
        id=text(record["doc_id"]),
        prediction=text(answer),
        references=_target(record.get("target"), doc),
        type=text(first_of(doc, "question_type", "type")),
        image=text(first_of(doc, "image_id", "image_path", "image_name")),
        prompt=text(first_of(record, "input") or first_of(doc, "question")),
    )


def _target(value: Any, doc: Mapping[str, Any]) -> tuple[str, ...]:
    """The tracker writes ``str(target)``, so a list comes as its Python spelling; some tasks leave it empty."""
    if isinstance(value, float) and math.isnan(value):
        return ()
    found = texts(nested(value))
    return found or texts(first_of(doc, "answer", "answers"))


LMMS_EVAL = Layout(
    name="lmms-eval",
    title="lmms-eval logged samples (JSONL, or JSON with logs)",
    source="EvolvingLMMs-Lab/lmms-eval lmms_eval/loggers/evaluation_tracker.py, save_results_samples",
    keys=(
        frozenset({"doc_id", "filtered_resps"}),
        frozenset({"doc_id", "filtered_resps", "target"}),
        frozenset({"doc_id", "filtered_resps", "target", "doc_hash"}),
    ),
    read=_read,
)
