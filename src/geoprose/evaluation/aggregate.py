"""Means with bootstrap intervals, clustered by image.

Questions about one picture succeed or fail together, so pictures are resampled, not questions. Every interval of one
evaluation uses the same resamples: a difference between two systems is then a paired one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

NUM_RESAMPLES = 2000
SEED = 0
COVERAGE = 0.95
MAX_UNITS = 10_000
"""Most units that are resampled; more clusters are dealt into this many."""
MULTINOMIAL_UNITS = 4_000
"""Up to here resamples are drawn as they always were, so that intervals already reported do not move."""
DRAWN_AT_ONCE = 100


@dataclass(frozen=True)
class Estimate:
    """A mean and its percentile interval.

    Attributes:
        n: Questions.
        mean: Mean over questions.
        low: Lower end of the 95 % interval.
        high: Upper end.
        clusters: Pictures that the questions belong to.
    """

    n: int
    mean: float
    low: float
    high: float
    clusters: int

    @property
    def ci95(self) -> list[float] | None:
        """The interval as ``[low, high]``; None for fewer than two pictures, which say nothing about others."""
        return [self.low, self.high] if self.clusters > 1 else None

    def as_share(self) -> Estimate:
        """Return the estimate of a share: its interval lies within 0 and 1, and is never without width.

        Resampling answers that are all right, or all wrong, gives no width, as if none could be otherwise. There the
        exact one-sided bound of a binomial over the pictures stands in: (alpha / 2) to the power of 1 / clusters.

        Source:
            Clopper and Pearson, Biometrika 26(4), 1934, for 0 or n successes.
        """
        low, high = min(max(self.low, 0.0), 1.0), min(max(self.high, 0.0), 1.0)
        if low == high and self.mean in (0.0, 1.0) and self.clusters:
            bound = float(((1 - COVERAGE) / 2) ** (1 / self.clusters))
            low, high = (bound, 1.0) if self.mean == 1.0 else (0.0, 1.0 - bound)
        return replace(self, low=low, high=high)


class ClusteredBootstrap:
    """Resamples of a fixed list of questions by cluster.

    More than ``MAX_UNITS`` clusters are first dealt at random into ``MAX_UNITS`` equal hands, and hands are resampled:
    sums of independent clusters are independent too, so the interval estimates the same spread, and memory is bounded
    for any number of clusters.

    Args:
        clusters: The cluster (picture) of each question.
        num_resamples: Resamples to draw.
        seed: Seed of the draw.
    """

    def __init__(self, clusters: Sequence[Hashable], num_resamples: int = NUM_RESAMPLES, seed: int = SEED) -> None:
        order = {cluster: index for index, cluster in enumerate(dict.fromkeys(clusters))}
        self._cluster_Q = np.array([order[cluster] for cluster in clusters], dtype=np.int64)
        self._units = max(len(order), 1)
        if self._units > MAX_UNITS:
            hand_C = np.random.default_rng([seed, self._units]).permutation(self._units) % MAX_UNITS
            self._cluster_Q, self._units = hand_C[self._cluster_Q], MAX_UNITS
        self._num_resamples, self._seed = num_resamples, seed

    def estimate(self, scores: Sequence[float], keep: Sequence[bool] | None = None) -> Estimate:
        """Return the mean of ``scores`` over the kept questions, with its interval."""
        scores_Q = np.asarray(scores, dtype=np.float64)
        if scores_Q.shape != self._cluster_Q.shape:
            raise ValueError(f"{scores_Q.size} scores for {self._cluster_Q.size} questions; give one per question.")
        places = np.arange(len(scores_Q)) if keep is None else np.flatnonzero(np.asarray(keep, dtype=bool))
        return self.estimate_at(scores_Q[places], places)

    def estimate_at(self, scores: NDArray[np.float64], places: NDArray[np.int64]) -> Estimate:
        """Return the mean of ``scores``, which belong to the questions at ``places``, with its interval."""
        if scores.shape != places.shape:
            raise ValueError(f"{scores.size} scores for {places.size} questions; give one per question.")
        if not len(scores):
            return Estimate(0, 0.0, 0.0, 0.0, 0)
        clusters = len(np.unique(self._cluster_Q[places]))
        return _summarise(float(scores.mean()), (len(scores), clusters), self._resampled_means(scores, places))

    def difference(
        self, ours: Sequence[float], theirs: Sequence[float], keep: Sequence[bool] | None = None
    ) -> Estimate:
        """Return the mean of ``ours`` minus ``theirs`` question by question, with its paired interval."""
        return self.estimate(list(np.asarray(ours, dtype=float) - np.asarray(theirs, dtype=float)), keep)

    @cached_property
    def _draws(self) -> NDArray[np.float64]:
        """How often each cluster is drawn in each resample: all that a mean needs."""
        rng = np.random.default_rng(self._seed)
        shares = np.full(self._units, 1 / self._units)
        draws = np.empty((self._num_resamples, self._units))
        for start in range(0, self._num_resamples, DRAWN_AT_ONCE):
            stop = min(start + DRAWN_AT_ONCE, self._num_resamples)
            if self._units <= MULTINOMIAL_UNITS:
                draws[start:stop] = rng.multinomial(self._units, shares, size=stop - start)
            else:  # the same distribution, many times faster
                drawn = rng.integers(0, self._units, size=(stop - start, self._units))
                for row, units in enumerate(drawn, start=start):
                    draws[row] = np.bincount(units, minlength=self._units)
        return draws

    def _resampled_means(self, scores: NDArray[np.float64], places: NDArray[np.int64]) -> NDArray[np.float64]:
        clusters = self._cluster_Q[places]
        sums_C = np.bincount(clusters, weights=scores, minlength=self._units)
        counts_C = np.bincount(clusters, minlength=self._units).astype(np.float64)
        totals_R = self._draws @ counts_C
        means: NDArray[np.float64] = (self._draws @ sums_C)[totals_R > 0] / totals_R[totals_R > 0]
        return means


def _summarise(mean: float, counts: tuple[int, int], resampled: NDArray[np.float64]) -> Estimate:
    n, clusters = counts
    if resampled.size == 0:
        return Estimate(n, mean, mean, mean, clusters)
    tail = (1 - COVERAGE) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Estimate(n, mean, float(low), float(high), clusters)
