"""Captions of test pictures, judged question by question, and how much they owe to the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.data.neutral import read_samples
from geoprose.evaluation.metrics.base import Item
from geoprose.evaluation.outcomes import cluster_of
from geoprose.evaluation.predictions import match_samples, predictions_path, read_predictions, references_of
from geoprose.evaluation.protocols import load_protocol
from geoprose.evaluation.run import EvaluateOptions, evaluate
from geoprose.evaluation.tasks import TaskSpec, load_task
from geoprose.experiments.reproduce.base import MetricColumn
from geoprose.experiments.reproduce.captioned import CAPTION
from geoprose.experiments.reproduce.scores import Measured, Scores

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from geoprose.core.types import Sample

CIDER, GROUNDING = "cider", "grounding"
COLUMNS = (
    MetricColumn(CIDER, "CIDEr", "captions", is_share=False),
    MetricColumn("rouge_l", "ROUGE-L", "captions"),
    MetricColumn("meteor", "METEOR", "captions"),
    MetricColumn(GROUNDING, "CIDEr lost to another picture", "grounding", is_share=False),
)


def caption_task(split: str) -> TaskSpec:
    """Return the captioning of ``captioned.build_captioned``, with another picture's caption as the one baseline."""
    task = load_task("captioning")
    return task.model_copy(
        update={
            "types": {CAPTION: task.types["captioning"]},
            "other": None,
            "split": split,
            "train_split": split,
            "baselines": ("shuffled",),
        }
    )


def sit_captions(
    system_dir: Path, data_dir: Path, out_dir: Path, meteor: str, most: int | None = None, split: str = "test"
) -> Scores:
    """Let a system describe the pictures of a split, unless it has, and return the figures of its captions.

    Args:
        system_dir: A saved system.
        data_dir: Folder of ``captioned.build_captioned``.
        out_dir: Where captions and their report go.
        meteor: Variant of the captioning protocol.
        most: Describe only so many pictures, chosen by a hash of their names; all when None.
        split: ``val`` while something is still being chosen, ``test`` for the result.

    Raises:
        ResourceError: If the METEOR wanted needs something that is not here.
    """
    evaluate(system_dir, caption_task(split), data_dir, out_dir, EvaluateOptions(limit=most))
    rows = {source: read_predictions(predictions_path(out_dir, source)) for source in ("system", "shuffled")}
    asked = {row.id for row in rows["system"]}
    samples = [sample for sample in read_samples(data_dir / f"{split}.jsonl") if sample.id in asked]
    answers = {source: [row.prediction for row in match_samples(own, samples)] for source, own in rows.items()}
    return scores_of(samples, answers["system"], answers["shuffled"], meteor)


def scores_of(samples: Sequence[Sample], captions: Sequence[str], others: Sequence[str], meteor: str) -> Scores:
    """Return every figure, question by question.

    Args:
        samples: The questions.
        captions: What the system says of each picture.
        others: What it says when it is shown another picture.
        meteor: Variant of the captioning protocol.
    """
    own = {
        name: _judged(samples, captions, variant)
        for name, variant in {CIDER: "coco", "rouge_l": "rouge-l", "meteor": meteor}.items()
    }
    blind = _judged(samples, others, "coco")
    own[GROUNDING] = [score - other for score, other in zip(own[CIDER], blind, strict=True)]
    ids = tuple(sample.id for sample in samples)
    clusters = tuple(cluster_of(sample) for sample in samples)
    return {name: Measured(ids, clusters, tuple(values)) for name, values in own.items()}


def _judged(samples: Sequence[Sample], captions: Sequence[str], variant: str) -> list[float]:
    items = [
        Item(sample.id, caption, references_of(sample), meta=sample.meta)
        for sample, caption in zip(samples, captions, strict=True)
    ]
    return [one.score for one in load_protocol("captioning").metric(variant).judge(items).judgements]
