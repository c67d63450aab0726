"""Pictures found for texts and texts for pictures: a dual encoder's recall, query by query, and what chance reaches."""

from __future__ import annotations

from math import comb
from typing import TYPE_CHECKING

from geoprose.data.neutral import read_samples
from geoprose.data.readers.retrieval import IMAGE_TO_TEXT, TEXT_TO_IMAGE
from geoprose.evaluation.metrics.base import Item
from geoprose.evaluation.metrics.retrieval import KS
from geoprose.evaluation.predictions import match_samples, predictions_path, read_predictions, references_of
from geoprose.evaluation.protocols import load_protocol
from geoprose.evaluation.run import EvaluateOptions, evaluate
from geoprose.evaluation.tasks import load_task
from geoprose.experiments.reproduce.distillation_exam import mean_of
from geoprose.experiments.reproduce.scores import Measured, Scores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from geoprose.core.types import Sample

MEAN_RECALL = "mean_recall"
DIRECTIONS = {TEXT_TO_IMAGE: "t2i", IMAGE_TO_TEXT: "i2t"}
"""Question type to the start of its figures' names."""
VARIANT = "duplicates-expected"
"""Equal captions count as the same text, and equal scores with their mean over all orders."""


def sit_retrieval(system_dir: Path, data_dir: Path, out_dir: Path, split: str) -> Scores:
    """Let a dual encoder rank, unless it has, and return recall at 1, 5 and 10 each way and their mean.

    Args:
        system_dir: A saved dual encoder.
        data_dir: Folder of ``captioned.build_captioned``.
        out_dir: Where rankings and their report go.
        split: ``val`` while something is still being chosen, ``test`` or ``shuffled`` for the result.
    """
    task = load_task("retrieval").model_copy(update={"split": split, "train_split": split, "baselines": ()})
    evaluate(system_dir, task, data_dir, out_dir, EvaluateOptions(is_resume=True, has_report=False))
    queries = retrieval_queries(data_dir, split)
    rows = match_samples(read_predictions(predictions_path(out_dir, "system")), queries)
    items = [
        Item(sample.id, row.prediction, references_of(sample), scores=row.scores, meta=sample.meta)
        for sample, row in zip(queries, rows, strict=True)
    ]
    return recalls_of(queries, items)


def retrieval_queries(data_dir: Path, split: str) -> list[Sample]:
    """Return the queries of a split, both ways."""
    return [sample for sample in read_samples(data_dir / f"{split}.jsonl") if sample.task in DIRECTIONS]


def recalls_of(queries: Sequence[Sample], items: Sequence[Item]) -> Scores:
    """Return the figures of ranked queries; items are in the order of the queries."""
    scores: Scores = {}
    means = []
    for task, short in DIRECTIONS.items():
        own = [item for sample, item in zip(queries, items, strict=True) if sample.task == task]
        judged = load_protocol("retrieval").metric(VARIANT).judge(own).judgements
        ids = tuple(item.id for item in own)
        clusters = tuple(str(item.meta["captions_of"]) for item in own)
        for k in KS:
            scores[f"{short}_{k}"] = Measured(ids, clusters, tuple(one.extras[f"R@{k}"] for one in judged))
        means.append(Measured(ids, clusters, tuple(one.score for one in judged)))
    return {MEAN_RECALL: mean_of(means), **scores}


def chance_of(queries: Sequence[Sample]) -> Mapping[str, float]:
    """Return what a random order reaches: ``1 - C(N - r, k) / C(N, k)`` for r right ones among N, averaged."""
    chances: dict[str, float] = {}
    for task, short in DIRECTIONS.items():
        own = [sample for sample in queries if sample.task == task]
        candidates = len(queries) - len(own)
        for k in KS:
            found = [_random_recall(len(references_of(sample)), candidates, k) for sample in own]
            chances[f"{short}_{k}"] = sum(found) / len(found)
    return {MEAN_RECALL: sum(chances.values()) / len(chances), **chances}


def _random_recall(right: int, candidates: int, k: int) -> float:
    k = min(k, candidates)
    return 1.0 - comb(candidates - right, k) / comb(candidates, k)
