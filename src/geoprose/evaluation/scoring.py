"""Judge predictions per question type and put intervals around the means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geoprose.evaluation.aggregate import ClusteredBootstrap
from geoprose.evaluation.metrics.base import Item, Judgement
from geoprose.evaluation.predictions import Prediction, references_of
from geoprose.evaluation.score.choices import closed_choices, is_closed
from geoprose.evaluation.score.judge import Judge
from geoprose.evaluation.score.sheet import JudgedType, ScoreSheet
from geoprose.evaluation.score.variants import variants_of
from geoprose.layout.resize import ResizeHistory, ResizeMode, plan_resize

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from geoprose.core.types import Sample
    from geoprose.evaluation.tasks import TaskSpec

MODEL_SOURCES = ("system", "shuffled", "blind", "previous")
"""Sources whose answers a system wrote."""


@dataclass(frozen=True)
class AnswerFormat:
    """How the system writes boxes, so that they can be read without it.

    Attributes:
        codec: Name of the box codec.
        mode: How a picture meets the square that the model is given.
        size_px: Side of that square.
    """

    codec: str
    mode: ResizeMode
    size_px: int

    def geometry(self, size_px: tuple[int, int]) -> ResizeHistory:
        """Return the resize history of a picture of this size."""
        return plan_resize(size_px[0], size_px[1], self.mode, self.size_px)


@dataclass(frozen=True)
class Scored:
    """The judgements of one source of answers, in the order of the samples.

    Attributes:
        judgements: One per sample.
        sheet: The same by column, with every variant that was judged.
    """

    judgements: tuple[Judgement, ...]
    sheet: ScoreSheet

    @property
    def scores(self) -> list[float]:
        """The score of each sample."""
        return [judgement.score for judgement in self.judgements]


class Scorer:
    """Judges any number of prediction lists over the same samples with the same resamples.

    Args:
        task: How each question type is scored.
        samples: The samples of the task, in order.
        train: Training samples; with the references they say which answers a closed type has.
        answer_format: How the system writes boxes; as the references do when None.
        root: Folder that paths in the samples' meta are relative to.
    """

    def __init__(
        self,
        task: TaskSpec,
        samples: Sequence[Sample],
        train: Sequence[Sample],
        answer_format: AnswerFormat | None = None,
        root: Path | None = None,
    ) -> None:
        self.task = task
        self.samples = samples
        present = dict.fromkeys(sample.task for sample in samples)
        self.types = [name for name in dict.fromkeys([*task.types, *present]) if name in present]
        self._format = answer_format
        self._root = root
        closed = (sample for sample in [*train, *samples] if is_closed(task, sample.task))
        self._choices = closed_choices(task, ((sample.task, references_of(sample)) for sample in closed))
        self._places = {
            name: np.array([place for place, sample in enumerate(samples) if sample.task == name], dtype=np.int64)
            for name in self.types
        }
        self._bootstrap = ClusteredBootstrap([sample.images[0] if sample.images else sample.id for sample in samples])

    def judge(self, predictions: Sequence[Prediction], answer_format: AnswerFormat | None = None) -> Scored:
        """Judge predictions that are in the order of the samples.

        Every variant of a protocol is judged for the answers of the system itself; baselines by the default alone.

        Args:
            predictions: One per sample.
            answer_format: How these predictions write boxes, where it is not as the system of this scorer.
        """
        sources = {row.source for row in predictions}
        # Majority, colour and probe answer in the words of the references, so their boxes are in the task's format.
        answers = (answer_format or self._format) if sources <= set(MODEL_SOURCES) else None
        chosen = None if sources <= {"system"} else ()
        judgements: list[Judgement] = [Judgement(0.0, False, "")] * len(self.samples)
        types = []
        for name in self.types:
            variants = variants_of(self.task.question_type(name), chosen)
            judge = Judge(variants, keeps_judgements=True, is_strict=chosen is None)
            for place in self._places[name]:
                judge.add(self._item(place, predictions[place], answers))
            judge.close()
            for place, judgement in zip(self._places[name], judge.judgements, strict=True):
                judgements[place] = judgement
            types.append(JudgedType(name, judge, self._places[name]))
        return Scored(tuple(judgements), ScoreSheet(self.task, types, self._bootstrap))

    def report(self, scored: Scored) -> dict[str, Any]:
        """Return ``overall``, ``aggregates``, ``by_type`` and ``parse_failures`` of one source."""
        return scored.sheet.report()

    def difference(self, ours: Scored, theirs: Scored) -> dict[str, Any]:
        """Return the paired difference of two sources, overall, per aggregate and per type."""
        groups = {"overall": self.task.overall or tuple(self.types), **self.task.aggregates}
        result: dict[str, Any] = {name: ours.sheet.difference(theirs.sheet, types) for name, types in groups.items()}
        result["by_type"] = {name: ours.sheet.difference(theirs.sheet, (name,)) for name in self.types}
        return result

    def item(self, place: int, prediction: Prediction) -> Item:
        """Return what metrics judge of the system's answer to the sample at ``place``."""
        return self._item(place, prediction, self._format)

    def _item(self, place: int, prediction: Prediction, answers: AnswerFormat | None) -> Item:
        sample = self.samples[place]
        georef = sample.georefs[0] if sample.georefs else None
        size = sample.meta.get("size_px")
        if georef is not None:
            size_px: tuple[int, int] | None = (georef.width_px, georef.height_px)
        else:
            size_px = (int(str(size[0])), int(str(size[1]))) if isinstance(size, list) else None
        return Item(
            id=sample.id,
            prediction=prediction.prediction,
            references=references_of(sample),
            size_px=size_px,
            geometry=answers.geometry(size_px) if answers and size_px else None,
            choices=self._choices.get(sample.task, frozenset()),
            scores=prediction.scores,
            codec=answers.codec if answers else self.task.box_codec,
            reference_codec=self.task.box_codec,
            meta=sample.meta,
            root=self._root,
        )
