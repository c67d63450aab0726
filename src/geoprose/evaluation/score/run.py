"""Score one file of predictions: every variant of the task's protocol side by side, with what is odd about the file."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from geoprose.core.files import sha256_file
from geoprose.core.version import __version__
from geoprose.evaluation.aggregate import ClusteredBootstrap
from geoprose.evaluation.layouts.open import open_predictions
from geoprose.evaluation.score.box_faults import BoxWatch
from geoprose.evaluation.score.faults import LabelWatch, RepeatWatch
from geoprose.evaluation.score.intake import Intake
from geoprose.evaluation.score.items import GUESSED_FROM, ItemMaker, choose_codecs
from geoprose.evaluation.score.judge import Judge
from geoprose.evaluation.score.outputs import MAX_ROWS, RunWriter, write_page
from geoprose.evaluation.score.pictures import Pictures
from geoprose.evaluation.score.sheet import JudgedType, ScoreSheet
from geoprose.evaluation.score.truth import Truth, truth_from_data, truth_from_file
from geoprose.evaluation.score.variants import check_names, variants_of
from geoprose.evaluation.score.verdicts import file_warnings, textless_warnings, variant_warnings
from geoprose.evaluation.tasks import TaskSpec, load_task

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from geoprose.evaluation.layouts.open import PredictionFile
    from geoprose.evaluation.metrics.base import Item
    from geoprose.evaluation.score.faults import ScoreWarning, Watch
    from geoprose.evaluation.score.request import ScoreRequest

REPORTED_EVERY = 10_000
"""Rows between two reports of progress."""


@dataclass
class _OpenType:
    """One question type while its items pass."""

    judge: Judge
    places: array[int] = field(default_factory=lambda: array("q"))
    textless: int = 0
    watches: tuple[Watch, ...] = field(default_factory=lambda: (BoxWatch(), RepeatWatch(), LabelWatch()))

    def add(self, item: Item, place: int, is_answered: bool) -> None:
        self.judge.add(item)
        self.places.append(place)
        self.textless += not item.references
        if is_answered:
            for watch in self.watches:
                watch.see(item)


def score_file(request: ScoreRequest, on_progress: Callable[[str, int, int], None] | None = None) -> dict[str, Any]:
    """Score one file of predictions.

    Args:
        request: The file, the task and what else is known; with ``out`` the folder of a run is written too.
        on_progress: Called with (what, rows done, rows in all).

    Returns:
        What ``result.json`` holds: ``overall``, ``aggregates``, ``by_type`` with ``variants``, ``warnings``, counts.

    Raises:
        TaskError: If the file or its references cannot be used; the message names file, place and remedy.
        ConfigError: If a task, layout, variant or box format is unknown.
    """
    task = request.task if isinstance(request.task, TaskSpec) else load_task(request.task)
    check_names(task, request.variants or ())
    scoring = _FileScoring(request, task)
    scoring.judge(on_progress)
    result = scoring.result()
    if request.out is not None:
        scoring.write(request.out, result)
    return result


class _FileScoring:
    """One file on its way to a result."""

    def __init__(self, request: ScoreRequest, task: TaskSpec) -> None:
        self._request, self._task = request, task
        self._file = open_predictions(request.predictions, request.layout)
        self._intake = Intake(task, self._file, _truth(request, task), request.keep)
        self._intake.survey()
        first = islice(self._file.rows(), GUESSED_FROM)
        self._codec, self._reference_codec, self._codec_reason = choose_codecs(request, self._file.layout, task, first)
        codecs = (self._codec, self._reference_codec)
        self._maker = ItemMaker(request, codecs, self._intake.choices, request.data)
        self._pictures = Pictures()
        self._keeps = request.out is not None and self._intake.counts.rows <= MAX_ROWS
        self._types = {name: self._open_type(name) for name in self._intake.types}
        self._writer = RunWriter(task, request)

    def judge(self, on_progress: Callable[[str, int, int], None] | None) -> None:
        """Read the file again and judge every row."""
        total = self._intake.counts.rows
        for place, (row, is_answered) in enumerate(self._intake.rows()):
            self._types[row.type].add(self._maker.make(row), place, is_answered)
            self._pictures.add(row.image)
            if self._keeps:
                self._writer.add(row)
            if on_progress is not None and place % REPORTED_EVERY == 0:
                on_progress("scoring", place, total)
        for one in self._types.values():
            one.judge.close()
        if on_progress is not None:
            on_progress("scoring", total, total)

    def result(self) -> dict[str, Any]:
        """Summarise what was judged."""
        request, task, intake = self._request, self._task, self._intake
        judged = [
            JudgedType(name, one.judge, np.array(one.places, dtype=np.int64)) for name, one in self._types.items()
        ]
        sheet = ScoreSheet(task, judged, ClusteredBootstrap(self._pictures.clusters.tolist()))
        named = request.references or request.data
        return {
            "task": task.name,
            "task_version": task.version,
            "task_sha256": task.content_hash(),
            "system": {"name": request.predictions.stem},
            "predictions": _describe(self._file),
            "references": named.name if named else "in the file",
            "box_codec": {"name": self._codec, "chosen": self._codec_reason, "references": self._reference_codec},
            **sheet.report(),
            "baselines": {},
            "overall_types": list(task.overall or sheet.types),
            "skipped_types": dict(sorted(intake.counts.skipped_types.items())),
            "images": len(self._pictures.names),
            "image_list_sha256": self._pictures.list_hash(),
            "counts": _counts(intake, self._pictures),
            "warnings": [warning.to_dict() for warning in self._warnings(sheet)],
            "versions": {"geoprose": __version__},
        }

    def write(self, out: Path, result: dict[str, Any]) -> None:
        """Write the folder of a run."""
        judgements = {
            place: judgement
            for one in self._types.values()
            for place, judgement in zip(one.places, one.judge.judgements, strict=False)
        }
        self._writer.write(out, result, judgements if self._keeps else None)
        write_page(out)

    def _open_type(self, name: str) -> _OpenType:
        variants = variants_of(self._task.question_type(name), self._request.variants)
        return _OpenType(Judge(variants, keeps_judgements=self._keeps))

    def _warnings(self, sheet: ScoreSheet) -> list[ScoreWarning]:
        found = file_warnings(self._file.notes, self._intake.counts, self._maker.not_finite, self._pictures.unnamed)
        for name, one in self._types.items():
            found += [warning.of_type(name) for watch in one.watches for warning in watch.found()]
        for name, judged in sheet.types.items():
            found += textless_warnings(judged, self._types[name].textless) + variant_warnings(judged)
        return found


def _truth(request: ScoreRequest, task: TaskSpec) -> Truth | None:
    if request.references is not None:
        return truth_from_file(request.references)
    return None if request.data is None else truth_from_data(task, request.data)


def _describe(file: PredictionFile) -> dict[str, Any]:
    return {
        "file": file.path.name,
        "sha256": sha256_file(file.path),
        "layout": file.layout.name,
        "is_layout_sniffed": file.is_sniffed,
    }


def _counts(intake: Intake, pictures: Pictures) -> dict[str, int]:
    counts = intake.counts
    return {
        "rows": counts.rows,
        "scored": len(pictures.clusters),
        "repeated": counts.repeated,
        "conflicting": counts.conflicting,
        "missing": counts.missing,
        "unknown": counts.unknown,
        "skipped": sum(counts.skipped_types.values()),
    }
