"""The questions that teacher and students are asked, and the figures of brief 004 from their answers."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from geoprose.data.neutral import read_samples, write_samples
from geoprose.evaluation.outcomes import cluster_of
from geoprose.evaluation.predictions import match_samples, predictions_path, read_predictions
from geoprose.evaluation.protocols import load_protocol
from geoprose.evaluation.run import EvaluateOptions, evaluate
from geoprose.evaluation.scoring import AnswerFormat, Scorer
from geoprose.evaluation.tasks import load_task
from geoprose.experiments.reproduce.base import MetricColumn
from geoprose.experiments.reproduce.outcomes import read_json
from geoprose.experiments.reproduce.scores import Measured, Scores
from geoprose.experiments.reproduce.synonyms import METEOR

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from geoprose.core.types import Sample
    from geoprose.evaluation.metrics.base import Item

TASK = "world-four-tasks"
SCENE, BOX, CAPTION = "dominant", "box", "caption"
VQA = ("presence", "comparison", "location", "amount", "two_tile")
PICTURES = "images"
MEAN = "mean"

COLUMNS = (
    MetricColumn(MEAN, "mean of the tasks", "four tasks"),
    MetricColumn("oa", "OA", "scene classification"),
    MetricColumn("aa", "AA", "scene classification"),
    MetricColumn("moa", "mOA", "VQA"),
    MetricColumn("acc_50", "acc@0.5", "grounding"),
    MetricColumn("acc_25", "acc@0.25", "grounding"),
    MetricColumn("rouge_l", "ROUGE-L", "captioning"),
    MetricColumn("meteor", "METEOR", "captioning"),
)
TASK_FIGURES = ("oa", "moa", "acc_50", "rouge_l")
"""The figure of each task that enters the mean."""
_VARIANTS = {
    "oa": ((SCENE,), "scene", "exact"),
    "moa": (VQA, "vqa", "exact"),
    "acc_50": ((BOX,), "grounding", "acc-0.5"),
    "acc_25": ((BOX,), "grounding", "acc-0.25"),
    "rouge_l": ((CAPTION,), "captioning", "rouge-l"),
}


def write_exam(world_dir: Path, out_dir: Path, most: Mapping[str, int]) -> Path:
    """Choose the questions of the validation and the test split, the same ones every time, unless that is done.

    Args:
        world_dir: A built world.
        out_dir: Folder of the questions; ``images`` in it links to the world's pictures.
        most: Most questions of a type, chosen by a hash of their ids; types that are not named are asked whole.
    """
    last = out_dir / "test.jsonl"
    if last.is_file():
        return out_dir
    out_dir.mkdir(parents=True, exist_ok=True)
    link = out_dir / PICTURES
    link.unlink(missing_ok=True)
    link.symlink_to((world_dir / PICTURES).resolve(), target_is_directory=True)
    known = set(load_task(TASK).types)
    for split in ("val", "test"):
        samples = [sample for sample in read_samples(world_dir / f"{split}.jsonl") if sample.task in known]
        write_samples(_chosen(samples, most), out_dir / f"{split}.jsonl")
    return out_dir


def _chosen(samples: Sequence[Sample], most: Mapping[str, int]) -> list[Sample]:
    by_type: dict[str, list[Sample]] = defaultdict(list)
    for sample in sorted(samples, key=lambda sample: hashlib.sha256(sample.id.encode()).hexdigest()):
        by_type[sample.task].append(sample)
    kept = {sample.id for name, own in by_type.items() for sample in own[: most.get(name, len(own))]}
    return [sample for sample in samples if sample.id in kept]


def sit_exam(system: Any, exam_dir: Path, out_dir: Path, split: str = "test", meteor: str = METEOR) -> Scores:
    """Let a system answer, unless it has, and return the figures of its answers.

    Args:
        system: A system or its folder.
        exam_dir: Folder of the questions.
        out_dir: Where the answers and their report go.
        split: ``val`` while something is still being chosen, ``test`` for the result.
        meteor: Variant of the captioning protocol.

    Raises:
        ResourceError: If the METEOR wanted needs something that is not here.
    """
    task = load_task(TASK).model_copy(update={"split": split, "train_split": split})
    evaluate(system, task, exam_dir, out_dir, EvaluateOptions(is_resume=True))
    samples = list(read_samples(exam_dir / f"{split}.jsonl"))
    rows = match_samples(read_predictions(predictions_path(out_dir, "system")), samples)
    facts = read_json(out_dir / "run.json")["system"]
    answers = AnswerFormat(facts["box_codec"], facts["resize"]["mode"], facts["resize"]["size_px"])
    scorer = Scorer(task, samples, (), answers, exam_dir)
    items = [scorer.item(place, row) for place, row in enumerate(rows)]
    return scores_of(samples, items, meteor)


def scores_of(samples: Sequence[Sample], items: Sequence[Item], meteor: str) -> Scores:
    """Return every figure, question by question.

    Args:
        samples: The questions.
        items: What is judged of each answer, in the same order.
        meteor: Variant of the captioning protocol.
    """
    pairs = list(zip(samples, items, strict=True))
    variants = {**_VARIANTS, "meteor": ((CAPTION,), "captioning", meteor)}
    scores: Scores = {}
    for name, (types, protocol, variant) in variants.items():
        own = [(sample, item) for sample, item in pairs if sample.task in types]
        judged = load_protocol(protocol).metric(variant).judge([item for _, item in own])
        values = tuple(judgement.score for judgement in judged.judgements)
        scores[name] = Measured(
            tuple(sample.id for sample, _ in own), tuple(cluster_of(sample) for sample, _ in own), values
        )
        if name == "oa":
            truths = [judgement.truth for judgement in judged.judgements]
            scores["aa"] = _average_accuracy(scores[name], truths)
    return {MEAN: mean_of([scores[name] for name in TASK_FIGURES])} | scores


def _average_accuracy(accuracy: Measured, truths: Sequence[str]) -> Measured:
    """Return the mean recall over classes: each question counts one over the size of its class."""
    sizes = Counter(truths)
    return Measured(accuracy.ids, accuracy.clusters, accuracy.values, tuple(1 / sizes[truth] for truth in truths))


def mean_of(figures: Sequence[Measured]) -> Measured:
    """Return the mean of several figures as one: each question counts one over the number of its figure's."""
    weights = tuple(1 / len(figure.ids) for figure in figures for _ in figure.ids)
    return Measured(
        tuple(name for figure in figures for name in figure.ids),
        tuple(cluster for figure in figures for cluster in figure.clusters),
        tuple(value for figure in figures for value in figure.values),
        weights,
    )
