"""Let the system and the baselines answer, and write every raw answer before anything is scored."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from geoprose.evaluation.baselines.composition import colour_baseline, probe_baseline
from geoprose.evaluation.baselines.majority import majority_answers
from geoprose.evaluation.baselines.shuffled import shuffled_images
from geoprose.evaluation.baselines.symbolic import true_cells
from geoprose.evaluation.predictions import (
    ImageHashes,
    Prediction,
    predictions_path,
    question_of,
    to_predictions,
    write_predictions,
)
from geoprose.inference.features import FeatureCache
from geoprose.inference.generate import Request, answer_batch

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.core.types import Sample
    from geoprose.evaluation.tasks import TaskSpec
    from geoprose.systems.build import System

logger = logging.getLogger(__name__)
SHUFFLE_SEED = 0
Progress = Callable[[str, int, int], None]
"""Called with (who answers, answered, total)."""


@dataclass(frozen=True)
class Exam:
    """Everything that an answerer may look at.

    Attributes:
        task: The task.
        samples: Samples to answer.
        train: Samples that baselines may learn from.
        data_dir: Folder that image paths are relative to.
        batch_size: Questions decoded together.
        on_progress: Where progress goes.
    """

    task: TaskSpec
    samples: tuple[Sample, ...]
    train: tuple[Sample, ...]
    data_dir: Path
    batch_size: int = 64
    on_progress: Progress | None = None

    @property
    def own_images(self) -> list[tuple[str, ...]]:
        """The pictures of each sample."""
        return [sample.images for sample in self.samples]


@dataclass(frozen=True)
class Answerer:
    """A system and the encoder outputs it has seen so far."""

    system: System
    features: FeatureCache


def predict_all(system: System, exam: Exam, out_dir: Path, blind: System | None = None) -> dict[str, float]:
    """Write the predictions of the system and of every baseline of the task; return the seconds each took."""
    hashes = ImageHashes(exam.data_dir)
    seconds: dict[str, float] = {}
    seeing = Answerer(system, FeatureCache(system))  # one cache: each picture is encoded once for all its sources
    answerers = {} if blind is None else {"blind": Answerer(blind, FeatureCache(blind, is_blind=True))}
    for source in sources_of(exam, has_blind=blind is not None):
        started = time.perf_counter()
        answerer = answerers.get(source, seeing)
        with in_float32(answerer.system):
            rows = _predict(source, answerer, exam, hashes)
        write_predictions(predictions_path(out_dir, source), rows)
        seconds[source] = round(time.perf_counter() - started, 2)
        logger.info("%s answered %d questions in %.1f s", source, len(rows), seconds[source])
    return seconds


def sources_of(exam: Exam, has_blind: bool) -> list[str]:
    """Return who answers: the system, then the task's baselines that the data allows."""
    has_cells = bool(true_cells(exam.train))
    names = ["system"]
    for name in exam.task.baselines:
        needs_train = name in ("majority", "majority_per_question") and not exam.train
        needs_cells = name in ("colour", "probe") and not has_cells
        if needs_train or needs_cells:
            logger.warning(
                "baseline %s is left out: the data has no training %s", name, "cells" if needs_cells else "file"
            )
        elif name != "blind":
            names.append(name)
    return [*names, "blind"] if has_blind else names


@contextmanager
def in_float32(system: System) -> Iterator[None]:
    """Run the system in float32: answers then hardly depend on how questions are batched. Restores the type after."""
    dtype = system.model.dtype
    system.model.float()
    try:
        yield
    finally:
        system.model.to(dtype)


def _predict(source: str, answerer: Answerer, exam: Exam, hashes: ImageHashes) -> list[Prediction]:
    shown = exam.own_images
    if source == "majority":
        texts = majority_answers(exam.train, exam.samples)
    elif source == "majority_per_question":
        texts = majority_answers(exam.train, exam.samples, is_per_question=True)
    elif source == "colour":
        texts = colour_baseline().answers(exam.train, exam.samples, exam.data_dir)
    elif source == "probe":
        texts = probe_baseline(answerer.system).answers(exam.train, exam.samples, exam.data_dir)
    else:
        shown = _images_shown(source, exam)
        texts = _ask(answerer, exam, shown, source)
    seed = SHUFFLE_SEED if source == "shuffled" else 0
    return to_predictions(exam.samples, texts, source, [hashes.of(images) for images in shown], seed)


def _images_shown(source: str, exam: Exam) -> list[tuple[str, ...]]:
    if source == "shuffled":
        return shuffled_images(exam.samples, SHUFFLE_SEED)
    return exam.own_images


def _ask(answerer: Answerer, exam: Exam, shown: Sequence[tuple[str, ...]], source: str) -> list[str]:
    """Answer the questions of the exam with the pictures in ``shown``."""
    requests = [
        Request(tuple(exam.data_dir / image for image in images), question_of(sample))
        for sample, images in zip(exam.samples, shown, strict=True)
    ]
    report = exam.on_progress
    on_progress = None if report is None else (lambda done, total: report(source, done, total))
    return answer_batch(
        answerer.system, requests, exam.task.max_new_tokens, exam.batch_size, on_progress, answerer.features
    )
