"""LHRS-Bot's ``eval_save_file.json``: questions and grounding."""

from __future__ import annotations

from geoprose.evaluation.layouts.base import Layout, PredictionRow, Record
from geoprose.evaluation.layouts.fields import text, texts


def _read(record: Record) -> PredictionRow:
    # Why not the file name as id: several phrases ask about one picture; the published script drops all but the first.
    return PredictionRow(
        id=text(record.get("question_id")),
        prediction=text(record["pred"]),
        references=texts(record["target"]),
        type=text(record.get("types")),
        image=text(record.get("filename")),
    )


LHRS = Layout(
    name="lhrs",
    title="LHRS-Bot eval_save_file.json: VQA, grounding",
    source="NJU-LHRS/LHRS-Bot main_vqa.py, main_vg.py",
    keys=(
        frozenset({"pred", "target", "types", "question_id"}),
        frozenset({"pred", "target", "filename"}),
    ),
    read=_read,
    codec="unit",
    reference_codec="unit",
)
