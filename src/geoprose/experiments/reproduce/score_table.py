"""What the trials of all arms say together: means over seeds, paired differences, intervals."""

# R resamples, Q questions, C clusters (pictures), S seeds

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geoprose.core.errors import TaskError
from geoprose.evaluation.aggregate import COVERAGE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from geoprose.experiments.reproduce.base import Trial
    from geoprose.experiments.reproduce.scores import Measured, Scores

NUM_RESAMPLES = 2000
SEED = 0


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % interval.

    Attributes:
        mean: Mean over seeds.
        low: Lower end.
        high: Upper end.
        by_seed: The figure of each seed.
    """

    mean: float
    low: float
    high: float
    by_seed: tuple[float, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self)


class ScoreTable:
    """The figures of all trials; every interval uses the same resamples, so differences are paired.

    A resample draws pictures with replacement, the same ones for every arm, and seeds with replacement, the same
    numbers for every arm. Of ``n`` seeds ``n - 1`` are drawn: drawing all ``n`` would make the spread of a mean over
    few seeds too small by the factor ``(n - 1) / n``. An arm with one seed keeps it: its interval is of the pictures
    alone.

    Args:
        trials: The figures of every measured trial; all must have been asked the same questions.

    Raises:
        TaskError: If two trials were asked different questions.

    Source:
        Rao and Wu, Resampling inference with complex survey data, JASA 83 (1988), for ``n - 1`` of ``n``.
    """

    def __init__(self, trials: Mapping[Trial, Scores]) -> None:
        self._first: dict[str, Measured] = {}
        self._scores: dict[str, dict[int, Scores]] = {}
        self._resampled: dict[tuple[str, str], NDArray[np.float64]] = {}
        for trial, scores in trials.items():
            for metric, measured in scores.items():
                _refuse_other_questions(trial, metric, measured, self._first.setdefault(metric, measured))
            self._scores.setdefault(trial.arm.name, {})[trial.seed] = scores
        clusters = sorted({cluster for measured in self._first.values() for cluster in measured.clusters})
        self._places = {cluster: place for place, cluster in enumerate(clusters)}
        size = max(len(clusters), 1)
        rng = np.random.default_rng([SEED, 0])
        self._draws_RC = rng.multinomial(size, np.full(size, 1 / size), size=NUM_RESAMPLES).astype(np.float64)

    @property
    def arms(self) -> list[str]:
        """Arms that have at least one trial."""
        return list(self._scores)

    def seeds(self, arm: str) -> list[int]:
        """Return the seeds of an arm that were measured."""
        return sorted(self._scores.get(arm, {}))

    def has(self, metric: str, *arms: str) -> bool:
        """Tell whether every one of the arms was measured."""
        return all(arm in self._scores for arm in arms) and metric in self._first

    def measured(self, arm: str, metric: str) -> list[Measured]:
        """Return the figure of each seed of an arm."""
        return [self._scores[arm][seed][metric] for seed in self.seeds(arm)]

    def estimate(self, arm: str, metric: str) -> Interval:
        """Return the mean over seeds with its interval."""
        by_seed = tuple(measured.mean for measured in self.measured(arm, metric))
        return interval(float(np.mean(by_seed)), self.resampled(arm, metric), by_seed)

    def difference(self, arm: str, reference: str, metric: str) -> Interval:
        """Return ``arm`` minus ``reference`` with its paired interval; ``by_seed`` holds the seeds that both have."""
        ours, theirs = self.estimate(arm, metric), self.estimate(reference, metric)
        known = dict(zip(self.seeds(reference), theirs.by_seed, strict=True))
        if len(known) == 1:  # trained once: it stands beside every seed
            known = dict.fromkeys(self.seeds(arm), theirs.mean)
        pairs = zip(self.seeds(arm), ours.by_seed, strict=True)
        by_seed = tuple(score - known[seed] for seed, score in pairs if seed in known)
        resampled = self.resampled(arm, metric) - self.resampled(reference, metric)
        return interval(ours.mean - theirs.mean, resampled, by_seed)

    def question_scores(self, arm: str, metric: str) -> NDArray[np.float64]:
        """Return the score of each question (Q), mean over seeds, times its weight (of mean 1): for paired tests."""
        own = self.measured(arm, metric)
        weights = own[0].counts
        scores: NDArray[np.float64] = np.mean([one.values for one in own], axis=0) * weights / weights.mean()
        return scores

    def clusters(self, metric: str) -> tuple[str, ...]:
        """Return the cluster of each question."""
        return self._first[metric].clusters

    def resampled(self, arm: str, metric: str) -> NDArray[np.float64]:
        """Return the figure of an arm in each resample (R)."""
        if (arm, metric) not in self._resampled:
            figures_SR = np.stack([self._resampled_one(measured) for measured in self.measured(arm, metric)])
            self._resampled[arm, metric] = (figures_SR * _seed_shares(self.seeds(arm))).sum(0)
        return self._resampled[arm, metric]

    def _resampled_one(self, measured: Measured) -> NDArray[np.float64]:
        places = np.array([self._places[cluster] for cluster in measured.clusters])
        counts_Q, size = measured.counts, self._draws_RC.shape[1]
        sums_C = np.bincount(places, weights=counts_Q * np.asarray(measured.values), minlength=size)
        totals_R = self._draws_RC @ np.bincount(places, weights=counts_Q, minlength=size)
        # A resample without any question of this figure says nothing; it is given the figure itself.
        figure_R = np.full(NUM_RESAMPLES, measured.mean)
        np.divide(self._draws_RC @ sums_C, totals_R, out=figure_R, where=totals_R > 0)
        return figure_R


def interval(mean: float, resampled_R: NDArray[np.float64], by_seed: tuple[float, ...] = ()) -> Interval:
    """Return a figure with the percentile interval of its resamples."""
    tail = (1 - COVERAGE) / 2
    low, high = np.quantile(resampled_R, [tail, 1 - tail])
    return Interval(mean, float(low), float(high), by_seed)


def _seed_shares(seeds: Sequence[int]) -> NDArray[np.float64]:
    """Return the share of each seed in each resample (S, R); arms with equal seeds get equal shares."""
    if len(seeds) == 1:
        return np.ones((1, NUM_RESAMPLES))
    rng = np.random.default_rng([SEED, 1, *(abs(seed) for seed in seeds)])
    return rng.multinomial(len(seeds) - 1, np.full(len(seeds), 1 / len(seeds)), size=NUM_RESAMPLES).T / (len(seeds) - 1)


def _refuse_other_questions(trial: Trial, metric: str, measured: Measured, first: Measured) -> None:
    if (first.ids, first.clusters, first.weights) != (measured.ids, measured.clusters, measured.weights):
        raise TaskError(
            f"Trial {trial.label} was asked other questions for {metric} than the trials before it. Measure all "
            "trials on the same data: use a new --out folder."
        )
