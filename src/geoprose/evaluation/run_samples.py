"""Which questions one evaluation asks: the split, the limit, the turns and orders."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geoprose.core.errors import DataError, TaskError
from geoprose.data.records import sample_to_dict
from geoprose.evaluation.answering.expand import expanded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from geoprose.core.types import Sample
    from geoprose.data.readers.base import Reader
    from geoprose.evaluation.tasks import TaskSpec

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SampleSet:
    """The questions of one evaluation.

    Attributes:
        asked: Questions to answer: every turn and every order of options is one.
        train: What baselines may learn from and solved examples are taken from; empty where there is none.
        skipped: Samples of types that the task does not score, per type.
    """

    asked: tuple[Sample, ...]
    train: tuple[Sample, ...]
    skipped: dict[str, int]

    def sha256(self) -> str:
        """Return the hash of the questions and of the training samples."""
        digest = hashlib.sha256()
        for sample in (*self.asked, *self.train):
            digest.update(json.dumps(sample_to_dict(sample), sort_keys=True).encode())
        return digest.hexdigest()


def read_sample_set(task: TaskSpec, data_dir: Path, limit: int | None) -> SampleSet:
    """Read the questions of a task.

    Args:
        task: The task.
        data_dir: Its data set.
        limit: Ask only about so many samples, chosen by a hash of their ids; all when None.

    Raises:
        DataError: If the data cannot be read.
        TaskError: If it holds no question of the task, or an id twice.
    """
    reader = _reader(task)
    found = tuple(reader.read(data_dir, task.split))
    kept = [sample for sample in found if sample.task in task.types or task.other is not None]
    if not kept:
        raise TaskError(
            f"Split {task.split} of {data_dir} has no question of the types {', '.join(task.types)} of task "
            f"{task.name}. Give the folder of its data set."
        )
    asked = expanded(task, _limited(kept, limit))
    _refuse_twins(asked, data_dir)
    skipped = Counter(sample.task for sample in found) - Counter(sample.task for sample in kept)
    return SampleSet(tuple(asked), _read_train(reader, task, data_dir), dict(sorted(skipped.items())))


def _refuse_twins(samples: Sequence[Sample], data_dir: Path) -> None:
    twins = [name for name, count in Counter(sample.id for sample in samples).items() if count > 1]
    if twins:
        raise TaskError(
            f"{data_dir} gives {len(twins)} ids more than once (first: {twins[0]}), so answers could not be told "
            "apart. Give every sample an id of its own."
        )


def _limited(samples: Sequence[Sample], limit: int | None) -> list[Sample]:
    """Return ``limit`` samples in their order; the choice depends on the ids alone."""
    if limit is None or limit >= len(samples):
        return list(samples)
    if limit < 1:
        raise TaskError(f"--limit is {limit}; give at least 1.")
    chosen = set(sorted((hashlib.sha256(s.id.encode()).hexdigest(), s.id) for s in samples)[:limit])
    return [sample for sample in samples if (hashlib.sha256(sample.id.encode()).hexdigest(), sample.id) in chosen]


def _reader(task: TaskSpec) -> Reader:
    from geoprose.data.readers.registry import build_reader

    return build_reader(task.reader.type, task.reader.options)


def _read_train(reader: Reader, task: TaskSpec, data_dir: Path) -> tuple[Sample, ...]:
    """Return the training samples; none where the data has no training split on disk, or it is the one asked."""
    if task.train_split not in reader.splits or task.train_split == task.split:
        return ()
    try:
        return tuple(reader.read(data_dir, task.train_split))
    except DataError as error:
        logger.warning("no training samples for the baselines: %s", error)
        return ()
