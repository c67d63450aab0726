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
from geoprose.evaluation.score.faults import BoxWatch, LabelWatch, RepeatWatch
from geoprose.evaluation.score.intake import Intake
from geoprose.evaluation.score.items import GUESSED_FROM, ItemMaker, choose_codecs
from geoprose.evaluation.score.judge import Judge
from geoprose.evaluation.score.pictures import Pictures
from geoprose.evaluation.score.sheet import JudgedType, ScoreSheet
from geoprose.evaluation.score.truth import Truth, truth_from_data, truth_from_file
from geoprose.evaluation.score.variants import check_names, variants_of
from geoprose.evaluation.score.verdicts import file_warnings, variant_warnings
from geoprose.evaluation.tasks import TaskSpec, load_task

if TYPE_CHECKING:
    from collections.abc import Callable

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
    watches: tuple[Watch, ...] = field(default_factory=lambda: (BoxWatch(), RepeatWatch(), LabelWatch()))

    def add(self, item: Item, place: int) -> None:
        self.judge.add(item)
        self.places.append(place)
        for watch in self.watches:
            watch.see(item)


def score_file(request: ScoreRequest, on_progress: Callable[[str, int, int], None] | None = None) -> dict[str, Any]:
    """Score one file of predictions.

    Args:
        request: The file, the task and what else is known.
        on_progress: Called with (what, rows done, rows in all).

    Returns:
        What ``result.json`` holds: ``overall``, ``aggregates``, ``by_type`` with ``variants``, ``warnings``, counts.

    Raises:
        TaskError: If the file or its references cannot be used; the message names file, place and remedy.
        ConfigError: If a task, layout, variant or box format is unknown.
    """
    task = request.task if isinstance(request.task, TaskSpec) else load_task(request.task)
    check_names(task, request.variants or ())
    file = open_predictions(request.predictions, request.layout)
    intake = Intake(task, file, _truth(request, task), request.keep)
    intake.survey()
    codec, reference_codec, codec_reason = choose_codecs(request, file.layout, task, islice(file.rows(), GUESSED_FROM))
    maker = ItemMaker(request, (codec, reference_codec), intake.choices, request.data)
    open_types = {
        name: _OpenType(Judge(variants_of(task.question_type(name), request.variants))) for name in intake.types
    }
    pictures = Pictures()
    for place, row in enumerate(intake.rows()):
        open_types[row.type].add(maker.make(row), place)
        pictures.add(row.image)
        if on_progress is not None and place % REPORTED_EVERY == 0:
            on_progress("scoring", place, intake.counts.rows)
    sheet = _sheet(task, open_types, pictures)
    return {
        "task": task.name,
        "task_version": task.version,
        "task_sha256": task.content_hash(),
        "predictions": _describe(file),
        "references": "in the file" if request.references is None and request.data is None else "named",
        "box_codec": {"name": codec, "chosen": codec_reason, "references": reference_codec},
        **sheet.report(),
        "overall_types": list(task.overall or sheet.types),
        "skipped_types": dict(sorted(intake.counts.skipped_types.items())),
        "images": len(pictures.names),
        "image_list_sha256": pictures.list_hash(),
        "counts": _counts(intake, pictures),
        "warnings": [warning.to_dict() for warning in _warnings(file, intake, maker, open_types, pictures, sheet)],
        "version": __version__,
    }


def _truth(request: ScoreRequest, task: TaskSpec) -> Truth | None:
    if request.references is not None:
        return truth_from_file(request.references)
    return None if request.data is None else truth_from_data(task, request.data)


def _sheet(task: TaskSpec, open_types: dict[str, _OpenType], pictures: Pictures) -> ScoreSheet:
    judged = []
    for name, one in open_types.items():
        one.judge.close()
        judged.append(JudgedType(name, one.judge, np.array(one.places, dtype=np.int64)))
    return ScoreSheet(task, judged, ClusteredBootstrap(pictures.clusters.tolist()))


def _warnings(
    file: PredictionFile,
    intake: Intake,
    maker: ItemMaker,
    open_types: dict[str, _OpenType],
    pictures: Pictures,
    sheet: ScoreSheet,
) -> list[ScoreWarning]:
    found = file_warnings(file.notes, intake.counts, maker.not_finite, pictures.unnamed)
    for name, one in open_types.items():
        found += [warning.of_type(name) for watch in one.watches for warning in watch.found()]
    for judged in sheet.types.values():
        found += variant_warnings(judged)
    return found


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
