"""The score of every metric for every answer of a finished run."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geoprose.core.errors import ResourceError, TaskError
from geoprose.evaluation.metrics.unavailable import SCORE
from geoprose.evaluation.outcomes import cluster_of
from geoprose.evaluation.predictions import match_samples, predictions_path, read_predictions
from geoprose.evaluation.run_samples import read_sample_set
from geoprose.evaluation.score.variants import variants_of
from geoprose.evaluation.scoring import AnswerFormat, Scorer

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.evaluation.metrics.base import Item, Judged
    from geoprose.evaluation.score.variants import Variant
    from geoprose.evaluation.tasks import TaskSpec


@dataclass(frozen=True)
class ItemScores:
    """What every metric says of every answer.

    Attributes:
        scores: Score by sample id, by name of the metric: a variant of the protocol, or one of its further figures.
        clusters: The picture of each sample, by id.
        flagged: Metrics with a known fault.
        unavailable: Metrics that could not be computed, and why.
    """

    scores: dict[str, dict[str, float]]
    clusters: dict[str, str]
    flagged: frozenset[str]
    unavailable: dict[str, str]


def scores_by_metric(task: TaskSpec, data_dir: Path, run_dir: Path, limit: int | None) -> ItemScores:
    """Judge the answers of a run by every variant of the task's protocols.

    Args:
        task: The task that was asked.
        data_dir: Its data set.
        run_dir: Folder of the run.
        limit: As it was given to the run.

    Raises:
        TaskError: If the run's answers are not those of the task and data.
    """
    samples = read_sample_set(task, data_dir, limit)
    rows = match_samples(read_predictions(predictions_path(run_dir, "system")), samples.asked)
    scorer = Scorer(task, samples.asked, samples.train, _format_of(run_dir), root=data_dir)
    by_type: dict[str, list[Item]] = defaultdict(list)
    for place, (sample, row) in enumerate(zip(samples.asked, rows, strict=True)):
        by_type[sample.task].append(scorer.item(place, row))
    scores: dict[str, dict[str, float]] = defaultdict(dict)
    flagged: set[str] = set()
    unavailable: dict[str, str] = {}
    for type_name, items in by_type.items():
        for variant in variants_of(task.question_type(type_name)):
            judged, reason = _judge(variant, items)
            if judged is None:
                unavailable[f"{type_name}: {variant.name}"] = reason
                continue
            for name, by_id in _columns(variant, items, judged).items():
                scores[name] |= by_id
                flagged |= {name} if variant.fault else set()
    clusters = {sample.id: cluster_of(sample) for sample in samples.asked}
    return ItemScores(dict(scores), clusters, frozenset(flagged), unavailable)


def _judge(variant: Variant, items: list[Item]) -> tuple[Judged | None, str]:
    lacking = [lack for lack in map(variant.lacks, items) if lack]
    if lacking:
        return None, f"{len(lacking)} of {len(items)} samples lack {lacking[0]}"
    try:
        judged = variant.metric.judge(items)
    except ResourceError as error:
        return None, str(error)
    return (None, judged.unavailable[SCORE]) if SCORE in judged.unavailable else (judged, "")


def _columns(variant: Variant, items: list[Item], judged: Judged) -> dict[str, dict[str, float]]:
    """Return the scores of a variant and each further figure that it gives every answer."""
    columns: dict[str, dict[str, float]] = {variant.name: {}}
    for item, one in zip(items, judged.judgements, strict=True):
        columns[variant.name][item.id] = one.score
        for key, value in one.extras.items():
            if math.isfinite(value):
                columns.setdefault(f"{variant.name}: {key}", {})[item.id] = value
    return columns


def _format_of(run_dir: Path) -> AnswerFormat | None:
    """Return how the run's system writes boxes."""
    path = run_dir / "run.json"
    if not path.is_file():
        return None
    try:
        system = json.loads(path.read_text(encoding="utf-8"))["system"]
        if system.get("box_codec") is None or "resize" not in system:
            return None
        return AnswerFormat(system["box_codec"], system["resize"]["mode"], system["resize"]["size_px"])
    except (ValueError, KeyError) as error:
        raise TaskError(f"{path} does not say how the run was made ({error}). Evaluate again.") from error
