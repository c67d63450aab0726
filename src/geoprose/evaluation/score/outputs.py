"""Write a scored file as a run: what `geoprose report` and `geoprose compare` read of a run of our own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoprose.core.files import write_json, write_jsonl
from geoprose.evaluation.outcomes import JUDGEMENTS_NAME
from geoprose.evaluation.predictions import Prediction, prediction_to_row, predictions_path
from geoprose.evaluation.report.files import DRAWINGS_NAME, DRAWN_KEYS, RESULT_NAME, RUN_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from geoprose.evaluation.layouts.base import PredictionRow
    from geoprose.evaluation.metrics.base import Judgement
    from geoprose.evaluation.score.request import ScoreRequest
    from geoprose.evaluation.tasks import TaskSpec

MAX_ROWS = 100_000
"""Files with more rows are written as ``result.json`` alone, so that memory stays bounded."""


class RunWriter:
    """Collects rows and their judgements, and writes the folder of a run.

    Args:
        task: The task.
        request: Names the output folder and where the pictures lie.
    """

    def __init__(self, task: TaskSpec, request: ScoreRequest) -> None:
        self._task, self._request = task, request
        self._rows: list[PredictionRow] = []

    def add(self, row: PredictionRow) -> None:
        """Take the next row, complete."""
        self._rows.append(row)

    def write(self, out: Path, result: Mapping[str, Any], judgements: Mapping[int, Judgement] | None) -> None:
        """Write ``result.json``, and where judgements are given the files with the single answers too.

        Args:
            out: Folder.
            result: What `score_file` returns.
            judgements: Judgement of each row by its place; None when there were too many rows to keep them.
        """
        write_json(out / RESULT_NAME, result)
        folder = self._request.images or self._request.data
        write_json(
            out / RUN_NAME,
            {"task": self._task.model_dump(mode="json"), "system": result["system"]}
            | ({"data_dir": str(folder)} if folder else {}),
        )
        if judgements is None:
            return
        write_jsonl(predictions_path(out, "system"), [prediction_to_row(_prediction(row)) for row in self._rows])
        write_jsonl(out / JUDGEMENTS_NAME, _judged(self._rows, judgements))
        drawn = [
            {"id": row.id, **{key: row.meta[key] for key in DRAWN_KEYS if key in row.meta}}
            for row in self._rows
            if "boxes" in row.meta or "region" in row.meta
        ]
        if drawn:
            write_jsonl(out / DRAWINGS_NAME, drawn)


def write_page(out: Path) -> Path | None:
    """Make the report of the folder; None where the package that fills its template is not installed."""
    try:
        from geoprose.evaluation.report.build import write_run_report

        return write_run_report(out)
    except ImportError:
        return None


def _prediction(row: PredictionRow) -> Prediction:
    return Prediction(
        id=row.id,
        task=row.type,
        source="system",
        images=(row.image,) if row.image else (),
        image_hashes=(),
        prompt=row.prompt,
        prediction=row.prediction,
        reference=row.references[0] if row.references else "",
        seed=0,
    )


def _judged(rows: Sequence[PredictionRow], judgements: Mapping[int, Judgement]) -> list[dict[str, Any]]:
    return [
        {
            "id": row.id,
            "task": row.type,
            "cluster": row.image or row.id,
            "score": judgements[place].score,
            "is_parsed": judgements[place].is_parsed,
            "label": judgements[place].label,
            "truth": judgements[place].truth,
        }
        for place, row in enumerate(rows)
    ]
