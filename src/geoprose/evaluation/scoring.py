"""Judge predictions per question type and put intervals around the means."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from geoprose.evaluation.aggregate import ClusteredBootstrap, Estimate
from geoprose.evaluation.metrics.base import Item, Judgement, Metric
from geoprose.evaluation.metrics.normalise import normalise_answer, split_list
from geoprose.evaluation.metrics.registry import METRICS
from geoprose.evaluation.predictions import Prediction, references_of
from geoprose.evaluation.protocols import load_protocol
from geoprose.layout.resize import ResizeHistory, ResizeMode, plan_resize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.core.types import Sample
    from geoprose.evaluation.tasks import TaskSpec

MODEL_SOURCES = ("system", "shuffled", "blind")
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
        corpus: Whole-set figures per question type, e.g. BLEU.
    """

    judgements: tuple[Judgement, ...]
    corpus: dict[str, dict[str, float]]

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
    """

    def __init__(
        self,
        task: TaskSpec,
        samples: Sequence[Sample],
        train: Sequence[Sample],
        answer_format: AnswerFormat | None = None,
    ) -> None:
        self.task = task
        self.samples = samples
        present = dict.fromkeys(sample.task for sample in samples)
        self.types = [name for name in dict.fromkeys([*task.types, *present]) if name in present]
        self._format = answer_format
        self.metrics = {name: self._metric(name) for name in self.types}
        self._choices = self._closed_choices(train)
        self._bootstrap = ClusteredBootstrap([sample.images[0] if sample.images else sample.id for sample in samples])

    def judge(self, predictions: Sequence[Prediction]) -> Scored:
        """Judge predictions that are in the order of the samples."""
        # Majority, colour and probe answer in the words of the references, so their boxes are in the task's format.
        answers = self._format if all(row.source in MODEL_SOURCES for row in predictions) else None
        judgements: list[Judgement] = [Judgement(0.0, False, "")] * len(self.samples)
        corpus: dict[str, dict[str, float]] = {}
        for name in self.types:
            places = [place for place, sample in enumerate(self.samples) if sample.task == name]
            items = [self._item(place, predictions[place], answers) for place in places]
            judged = self.metrics[name].judge(items)
            for place, judgement in zip(places, judged.judgements, strict=True):
                judgements[place] = judgement
            corpus[name] = dict(judged.corpus)
        return Scored(tuple(judgements), corpus)

    def report(self, scored: Scored) -> dict[str, Any]:
        """Return ``overall``, ``aggregates``, ``by_type`` and ``parse_failures`` of one source."""
        by_type = {name: self._type_report(name, scored) for name in self.types}
        counted = [name for name in self.types if name in (self.task.overall or self.types)]
        return {
            "overall": self._mean(scored, tuple(counted)),
            "aggregates": {name: self._mean(scored, types) for name, types in self.task.aggregates.items()},
            "by_type": by_type,
            "parse_failures": {
                "n": sum(not judgement.is_parsed for judgement in scored.judgements),
                "rate": _mean([not judgement.is_parsed for judgement in scored.judgements]),
            },
        }

    def difference(self, ours: Scored, theirs: Scored) -> dict[str, Any]:
        """Return the paired difference of two sources, overall, per aggregate and per type."""
        groups = {"overall": self.task.overall or tuple(self.types), **self.task.aggregates}
        result: dict[str, Any] = {name: self._difference(ours, theirs, types) for name, types in groups.items()}
        result["by_type"] = {name: self._difference(ours, theirs, (name,)) for name in self.types}
        return result

    def _difference(self, ours: Scored, theirs: Scored, types: tuple[str, ...]) -> dict[str, Any]:
        estimate = self._bootstrap.difference(ours.scores, theirs.scores, self._keep(types))
        return {"n": estimate.n, "difference": estimate.mean, "ci95": estimate.ci95}

    def _mean(self, scored: Scored, types: tuple[str, ...]) -> dict[str, Any]:
        estimate = self._bootstrap.estimate(scored.scores, self._keep(types))
        metrics = {self.metrics[name].name for name in types if name in self.metrics}
        is_accuracy = all(self.metrics[name].is_accuracy for name in types if name in self.metrics)
        return _block(estimate, metrics.pop() if len(metrics) == 1 else "mean score", is_accuracy)

    def _type_report(self, name: str, scored: Scored) -> dict[str, Any]:
        keep = self._keep((name,))
        judgements = [j for j, kept in zip(scored.judgements, keep, strict=True) if kept]
        metric = self.metrics[name]
        block = _block(self._bootstrap.estimate(scored.scores, keep), metric.name, metric.is_accuracy)
        block["parse_failure_rate"] = _mean([not judgement.is_parsed for judgement in judgements])
        extras = sorted({key for judgement in judgements for key in judgement.extras})
        block.update({key: _mean([judgement.extras.get(key, 0.0) for judgement in judgements]) for key in extras})
        block.update(scored.corpus.get(name, {}))
        return block

    def _keep(self, types: Sequence[str]) -> list[bool]:
        return [sample.task in types for sample in self.samples]

    def _metric(self, name: str) -> Metric:
        spec = self.task.question_type(name)
        if spec.protocol:
            return load_protocol(spec.protocol).metric()
        return METRICS.get(spec.metric)()

    def _item(self, place: int, prediction: Prediction, answers: AnswerFormat | None) -> Item:
        sample = self.samples[place]
        georef = sample.georefs[0] if sample.georefs else None
        size = sample.meta.get("size_px")
        if georef is not None:
            size_px: tuple[int, int] | None = (georef.width_px, georef.height_px)
        else:
            size_px = (int(str(size[0])), int(str(size[1]))) if isinstance(size, list) else None
        choices = self._choices.get(sample.task, frozenset())
        geometry = answers.geometry(size_px) if answers and size_px else None
        return Item(
            sample.id,
            prediction.prediction,
            references_of(sample),
            size_px,
            geometry,
            choices,
            prediction.scores,
            answers.codec if answers else self.task.box_codec,
            self.task.box_codec,
            sample.meta,
        )

    def _closed_choices(self, train: Sequence[Sample]) -> dict[str, frozenset[str]]:
        found: dict[str, set[str]] = defaultdict(set)
        for sample in [*train, *self.samples]:
            spec = self.task.types.get(sample.task, self.task.other)
            if spec is None or not spec.is_closed:
                continue
            for answer in references_of(sample):
                found[sample.task].update(
                    split_list(answer) if spec.metric == "list_f1" else [normalise_answer(answer)]
                )
        return {name: frozenset(choices) for name, choices in found.items()}


def _block(estimate: Estimate, metric: str, is_accuracy: bool) -> dict[str, Any]:
    """Return the common fields; ``accuracy`` is None where the score is on another scale than 0..1."""
    accuracy = estimate.mean if is_accuracy else None
    return {"n": estimate.n, "metric": metric, "score": estimate.mean, "accuracy": accuracy, "ci95": estimate.ci95}


def _mean(values: Sequence[float | bool]) -> float:
    return sum(values) / len(values) if values else 0.0
