"""What a run left on disk, read for the report: everything but ``result.json`` may be missing."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoprose.core.errors import TaskError
from geoprose.core.files import write_jsonl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from geoprose.core.types import Sample
    from geoprose.evaluation.metrics.base import Judgement

RESULT_NAME, RUN_NAME, SUITE_NAME = "result.json", "run.json", "suite.json"
PREDICTIONS_NAME, BASELINES_NAME = "predictions.jsonl", "baselines"
SCORES_NAME, DRAWINGS_NAME = "judgements.jsonl", "drawings.jsonl"
DRAWN_KEYS = ("boxes", "region", "size_px")


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """How one sample was judged.

    Attributes:
        id: Sample id.
        task: Question type.
        score: Score of the metric.
        is_parsed: Whether the answer could be read.
        label: What was read.
        truth: The one right answer; empty where there is none.
    """

    id: str
    task: str
    score: float
    is_parsed: bool
    label: str = ""
    truth: str = ""


@dataclass(frozen=True)
class RunFiles:
    """A run as it lies on disk.

    Attributes:
        folder: Where it lies.
        result: ``result.json``.
        run: ``run.json``; empty when there is none.
        scores: How each sample was judged, in order; empty when it was not written.
        data_dir: Folder that image paths are relative to; None when unknown.
    """

    folder: Path
    result: Mapping[str, Any]
    run: Mapping[str, Any] = field(default_factory=dict)
    scores: Sequence[ScoreRow] = ()
    data_dir: Path | None = None

    @property
    def sources(self) -> list[str]:
        """The baselines whose answers are on disk."""
        return sorted(path.stem for path in (self.folder / BASELINES_NAME).glob("*.jsonl"))

    def predictions(self, source: str = "system") -> Iterator[Mapping[str, Any]]:
        """Yield the answers of the system or of a baseline, line by line."""
        inside = PREDICTIONS_NAME if source == "system" else f"{BASELINES_NAME}/{source}.jsonl"
        return read_lines(self.folder / inside)

    def drawings(self) -> dict[str, Mapping[str, Any]]:
        """Return what pictures need, by sample id: footprints, sizes, reference boxes."""
        return {str(row["id"]): row for row in read_lines(self.folder / DRAWINGS_NAME)}


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        TaskError: If the file is missing or is no JSON object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TaskError(
            f"{path} cannot be read ({error.strerror}). Give the folder that `geoprose evaluate` wrote to."
        ) from error
    except ValueError as error:
        raise TaskError(f"{path} is not JSON ({error}). Score the predictions again: evaluate --rescore.") from error
    if not isinstance(value, dict):
        raise TaskError(f"{path} must hold one JSON object, found {type(value).__name__}. Score the predictions again.")
    return value


def read_lines(path: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the objects of a JSONL file; nothing when there is no such file.

    Raises:
        TaskError: If a line is not a JSON object.
    """
    if not path.is_file():
        return
    with path.open(encoding="utf-8", newline="\n") as handle:
        for number, line in enumerate(handle, start=1):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise TaskError(f"{path.name} line {number} is not JSON: {error}. Write the run again.") from error
            if not isinstance(row, dict) or "id" not in row:
                raise TaskError(f"{path.name} line {number} is no object with an id. Write the run again.")
            yield row


def read_run(folder: Path, data_dir: Path | None = None) -> RunFiles:
    """Read a run's folder.

    Args:
        folder: Where ``result.json`` lies.
        data_dir: Where the pictures lie; ``data_dir`` of ``run.json`` when None.

    Raises:
        TaskError: If there is no readable ``result.json``.
    """
    result = read_object(folder / RESULT_NAME)
    run = read_object(folder / RUN_NAME) if (folder / RUN_NAME).is_file() else {}
    recorded = run.get("data_dir")
    if data_dir is None and isinstance(recorded, str) and Path(recorded).is_dir():
        data_dir = Path(recorded)
    return RunFiles(folder, result, run, [_score_row(row) for row in read_lines(folder / SCORES_NAME)], data_dir)


def score_rows(samples: Sequence[Sample], judgements: Iterable[Judgement]) -> list[ScoreRow]:
    """Return the rows of samples that have just been judged."""
    return [
        ScoreRow(sample.id, sample.task, one.score, one.is_parsed, one.label, one.truth)
        for sample, one in zip(samples, judgements, strict=True)
    ]


def write_drawings(folder: Path, samples: Iterable[Sample]) -> None:
    """Write what the report's pictures need and the predictions do not hold: footprints, sizes, reference boxes."""
    from geoprose.evaluation.report.map import footprints_of

    rows = []
    for sample in samples:
        row: dict[str, Any] = {key: sample.meta[key] for key in DRAWN_KEYS if key in sample.meta}
        if footprints := footprints_of(sample):
            row["footprints"] = footprints
        if row:
            rows.append({"id": sample.id, **row})
    if rows:
        write_jsonl(folder / DRAWINGS_NAME, rows)
    else:
        (folder / DRAWINGS_NAME).unlink(missing_ok=True)


def _score_row(row: Mapping[str, Any]) -> ScoreRow:
    # A million rows name a handful of types and labels: each is kept once.
    task, label, truth = (sys.intern(str(row.get(key, ""))) for key in ("task", "label", "truth"))
    return ScoreRow(str(row["id"]), task, float(row.get("score", 0.0)), bool(row.get("is_parsed", True)), label, truth)
