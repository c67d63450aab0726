"""Which baselines a task can have on the data at hand, and the answers of those that ask no language model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.core.errors import TaskError
from geoprose.evaluation.baselines.colour_labels import colour_labels
from geoprose.evaluation.baselines.majority import majority_answers
from geoprose.evaluation.baselines.shuffled import shuffled_images
from geoprose.evaluation.baselines.symbolic import true_cells

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from geoprose.core.types import Sample
    from geoprose.evaluation.answering.base import Examinee
    from geoprose.evaluation.tasks import TaskSpec


def planned_baselines(
    task: TaskSpec, samples: Sequence[Sample], train: Sequence[Sample]
) -> tuple[list[str], dict[str, str]]:
    """Return the task's baselines that the data allows, in order, and the others with the reason.

    ``blind`` is not among them: it is there where a blind system is given.
    """
    left_out: dict[str, str] = {}
    for name in task.baselines:
        if name != "blind" and (reason := _obstacle(name, task, samples, train)):
            left_out[name] = reason
    return [name for name in task.baselines if name != "blind" and name not in left_out], left_out


def baseline_texts(
    name: str, task: TaskSpec, both: tuple[Sequence[Sample], Sequence[Sample]], data_dir: Path, examinee: Examinee
) -> list[str]:
    """Return one answer per sample.

    Args:
        name: A baseline of ``planned_baselines`` that asks no language model.
        task: The task.
        both: Training samples, and the samples to answer.
        data_dir: Folder that image paths are relative to.
        examinee: The system, whose encoder the probe reads.
    """
    train, samples = both
    if name.startswith("majority"):
        return majority_answers(train, samples, name == "majority_per_question", task.box_codec)
    if name == "colour" and not true_cells(train):
        return colour_labels(task, train, samples, data_dir)
    from geoprose.evaluation.baselines.composition import colour_baseline, probe_baseline

    symbolic = colour_baseline() if name == "colour" else probe_baseline(examinee.system)
    return symbolic.answers(train, samples, data_dir)


def _obstacle(name: str, task: TaskSpec, samples: Sequence[Sample], train: Sequence[Sample]) -> str:
    """Return why a baseline cannot be computed; empty where it can."""
    if task.answering == "retrieval":
        return "a ranking of candidates has no such baseline"
    if name == "shuffled":
        return _why_not_shuffled(samples)
    if task.answering == "dense":
        return "a mask has no such baseline"
    if not train:
        return "the data has no training samples"
    if name == "probe" and not true_cells(train):
        return "the data has no training cells"
    if name == "colour" and not true_cells(train) and not _has_closed(task, train):
        return "no question type has a closed set of labels"
    return ""


def _has_closed(task: TaskSpec, train: Sequence[Sample]) -> bool:
    specs = (task.types.get(name, task.other) for name in {sample.task for sample in train})
    return any(spec is not None and spec.is_closed for spec in specs)


def _why_not_shuffled(samples: Sequence[Sample]) -> str:
    if not any(sample.images for sample in samples):
        return "the data has no pictures to exchange"
    try:
        shuffled_images(samples, seed=0)  # the seed turns the cycle and does not decide whether there is one
    except TaskError as error:
        return str(error)
    return ""
