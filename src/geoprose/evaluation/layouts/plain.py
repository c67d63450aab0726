"""Plain tables and JSON lines, and our own ``predictions.jsonl``."""

from __future__ import annotations

from typing import Any

from geoprose.evaluation.layouts.base import Layout, PredictionRow, Record
from geoprose.evaluation.layouts.fields import boxes_px, first_of, nested, scores, size_px, text, texts

META_KEYS = frozenset(
    {
        *("answers", "size_px", "gsd_m", "boxes", "box_labels", "difficult", "size_group", "is_unique", "phrase"),
        *("region", "mask", "mask_value", "polygons", "options", "answer_index", "group", "category", "negatives"),
        *("objects", "is_changed", "count", "tolerance", "captions_of", "domain", "duration_group"),
        "verdict",
    }
)
"""Columns that go to the sample's meta under their own name; docs/reference/sample-meta.md."""

_ID = ("id", "question_id", "sample_id")
_PREDICTION = ("prediction", "pred", "response", "output")
_REFERENCE = ("references", "reference", "ground_truth", "label", "target")


def _read_plain(record: Record) -> PredictionRow:
    meta = meta_of(record)
    references = texts(nested(first_of(record, *_REFERENCE)))
    return PredictionRow(
        id=text(first_of(record, *_ID)),
        prediction=text(first_of(record, *_PREDICTION)),
        references=references or texts(meta.get("answers")),
        type=text(first_of(record, "type", "question_type", "task")),
        image=text(first_of(record, "image", "image_id", "filename")),
        prompt=text(first_of(record, "prompt", "question")),
        meta=meta,
        scores=scores(record.get("scores")),
    )


def _read_own(record: Record) -> PredictionRow:
    images = record["images"]
    reference = text(record.get("reference"))
    return PredictionRow(
        id=text(record["id"]),
        prediction=text(record["prediction"]),
        references=(reference,) if reference else (),
        type=text(record["task"]),
        image=text(images[0]) if isinstance(images, list) and images else "",
        prompt=text(record.get("prompt")),
        scores=scores(record.get("scores")),
    )


def meta_of(record: Record) -> dict[str, Any]:
    """Return what a record says under keys of a sample's meta, lists inside cells read."""
    given = record.get("meta")
    found = dict(given) if isinstance(given, dict) else {}
    found.update({key: value for key, value in record.items() if key in META_KEYS and value not in (None, "")})
    if not found:
        return {}
    for key in ("boxes", "size_px", "options", "objects", "answers", "box_labels", "polygons", "difficult", "region"):
        if key in found:
            found[key] = nested(found[key])
    if boxes_px(found.get("boxes")):
        found["boxes"] = boxes_px(found["boxes"])
    if size_px(found.get("size_px")):
        found["size_px"] = size_px(found["size_px"])
    for key in ("answer_index", "count"):
        if text(found.get(key)).isdigit():
            found[key] = int(text(found[key]))
    return found


PLAIN = Layout(
    name="plain",
    title="Plain JSONL, JSON, CSV, TSV, xlsx: id, prediction, reference(s), type, image, and keys of a sample's meta",
    source="this project",
    keys=tuple(frozenset({name}) for name in _PREDICTION),
    read=_read_plain,
)

GEOPROSE = Layout(
    name="geoprose",
    title="predictions.jsonl of `geoprose evaluate`",
    source="this project",
    keys=(frozenset({"id", "task", "source", "images", "image_hashes", "prompt", "prediction", "reference", "seed"}),),
    read=_read_own,
)
