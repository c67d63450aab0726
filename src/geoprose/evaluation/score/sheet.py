"""What was judged, summarised: means with intervals, variants side by side, confusion, figures of the whole set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geoprose.evaluation.metrics.labels.classification import summarise_pairs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from geoprose.evaluation.aggregate import ClusteredBootstrap, Estimate
    from geoprose.evaluation.score.judge import Judge
    from geoprose.evaluation.score.ledger import Ledger
    from geoprose.evaluation.score.variants import Variant
    from geoprose.evaluation.tasks import TaskSpec


@dataclass(frozen=True)
class JudgedType:
    """The judged answers of one question type.

    Attributes:
        name: Question type.
        judge: Holds the ledgers; closed.
        places: Place of each of its answers among all answers of the task.
    """

    name: str
    judge: Judge
    places: NDArray[np.int64]


class ScoreSheet:
    """Summarises judged question types; every figure uses the same resamples.

    Args:
        task: What the overall figure covers.
        types: The question types, in the order of the report.
        bootstrap: Resamples over all answers.
    """

    def __init__(self, task: TaskSpec, types: Sequence[JudgedType], bootstrap: ClusteredBootstrap) -> None:
        self.task = task
        self.types = {judged.name: judged for judged in types}
        self._bootstrap = bootstrap

    def report(self) -> dict[str, Any]:
        """Return ``overall``, ``aggregates``, ``by_type`` and ``parse_failures``."""
        by_type = {name: self._type_block(judged) for name, judged in self.types.items()}
        counted = tuple(name for name in self.types if name in (self.task.overall or self.types))
        failures = sum(judged.judge.default.unparsed for judged in self.types.values())
        total = sum(len(judged.places) for judged in self.types.values())
        return {
            "overall": self._mean_block(counted),
            "aggregates": {name: self._mean_block(types) for name, types in self.task.aggregates.items()},
            "by_type": by_type,
            "parse_failures": {"n": failures, "rate": failures / total if total else 0.0},
        }

    def difference(self, other: ScoreSheet, types: Iterable[str]) -> dict[str, Any]:
        """Return the mean of this sheet minus the mean of another over the same answers, with its paired interval."""
        kept = [name for name in types if name in self.types]
        places, ours = self._scores(kept)
        estimate = self._bootstrap.estimate_at(ours - other._scores(kept)[1], places)
        return {"n": estimate.n, "difference": estimate.mean, "ci95": estimate.ci95}

    def _scores(self, names: Sequence[str], variant: str = "") -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return places and scores of the answers of some types, in the order of the places."""
        if not names:
            return np.zeros(0, dtype=np.int64), np.zeros(0)
        ledgers = [judge.ledgers[variant] if variant else judge.default for judge in self._judges(names)]
        places = np.concatenate([self.types[name].places for name in names])
        order = np.argsort(places, kind="stable")
        return places[order], np.concatenate([ledger.scores for ledger in ledgers])[order]

    def _estimate(self, names: Sequence[str], variant: str = "") -> Estimate:
        places, scores = self._scores(names, variant)
        return self._bootstrap.estimate_at(scores, places)

    def _judges(self, names: Sequence[str]) -> list[Judge]:
        return [self.types[name].judge for name in names]

    def _mean_block(self, types: Sequence[str]) -> dict[str, Any]:
        """Summarise several types: ``score`` counts each question the same, ``macro`` each type."""
        names = [name for name in types if name in self.types]
        metrics = {judge.variants[0].metric.name for judge in self._judges(names)}
        is_accuracy = all(judge.variants[0].metric.is_accuracy for judge in self._judges(names))
        metric = metrics.pop() if len(metrics) == 1 else "mean score"
        block = _block(self._estimate(names), metric, is_accuracy)
        block["macro"] = _mean([float(judge.default.scores.mean()) for judge in self._judges(names)])
        block["variants"] = self._shared_variants(names)
        return block

    def _shared_variants(self, names: Sequence[str]) -> dict[str, Any]:
        """Summarise the variants that every one of the types has."""
        judges = self._judges(names)
        if not judges:
            return {}
        return {
            variant.name: _variant_block(
                variant,
                self._estimate(names, variant.name),
                sum(judge.ledgers[variant.name].unparsed for judge in judges),
            )
            for variant in judges[0].variants
            if all(variant.name in judge.ledgers for judge in judges)
        }

    def _own_variants(self, judged: JudgedType) -> dict[str, Any]:
        """Summarise the variants of one type, with the figures of the whole set that each has beside its score."""
        blocks = self._shared_variants([judged.name])
        for name, block in blocks.items():
            ledger = judged.judge.ledgers[name]
            beside = {"corpus": ledger.corpus, "tables": ledger.tables, "unavailable": ledger.unavailable}
            block.update({key: dict(values) for key, values in beside.items() if values})
        return blocks

    def _type_block(self, judged: JudgedType) -> dict[str, Any]:
        judge, default = judged.judge, judged.judge.default
        metric = judge.variants[0].metric
        block = _block(self._estimate([judged.name]), metric.name, metric.is_accuracy)
        block["parse_failure_rate"] = default.unparsed / len(default) if len(default) else 0.0
        block.update(default.extras())
        block.update(default.corpus)
        block.update(
            unparsed=default.unparsed,
            protocol=self.task.question_type(judged.name).protocol,
            variant=judge.variants[0].name,
            variants=self._own_variants(judged),
            tables=dict(default.tables),
            unavailable={**default.unavailable, **judge.unavailable},
            **_confusion(default),
        )
        return block


def _confusion(ledger: Ledger) -> dict[str, Any]:
    if not ledger.pairs:
        return {}
    summary = summarise_pairs(ledger.pairs)
    figures: dict[str, Any] = {
        "oa": summary.oa,
        "aa": summary.aa,
        "kappa": summary.kappa,
        "macro_f1": summary.macro_f1,
    }
    if summary.labels:
        figures["confusion"] = {"labels": list(summary.labels), "counts": [list(row) for row in summary.counts]}
    return figures


def _block(estimate: Estimate, metric: str, is_accuracy: bool) -> dict[str, Any]:
    """Return the common fields; ``accuracy`` is None where the score is on another scale than 0..1."""
    accuracy = estimate.mean if is_accuracy else None
    estimate = estimate.as_share() if is_accuracy else estimate
    return {"n": estimate.n, "metric": metric, "score": estimate.mean, "accuracy": accuracy, "ci95": estimate.ci95}


def _variant_block(variant: Variant, estimate: Estimate, unparsed: int) -> dict[str, Any]:
    estimate = estimate.as_share() if variant.metric.is_accuracy else estimate
    return {
        "score": estimate.mean,
        "ci95": estimate.ci95,
        "n": estimate.n,
        "unparsed": unparsed,
        "metric": variant.metric.name,
        "is_accuracy": variant.metric.is_accuracy,
        "differs": variant.differs,
        "source": variant.source,
        "fault": variant.fault,
    }


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
