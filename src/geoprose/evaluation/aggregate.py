"""Means with bootstrap intervals, clustered by image.

Questions about one picture succeed or fail together, so pictures are resampled, not questions. Every interval of one
evaluation uses the same resamples: a difference between two systems is then a paired one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

NUM_RESAMPLES = 2000
SEED = 0
COVERAGE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean and its percentile interval.

    Attributes:
        n: Questions.
        mean: Mean over questions.
        low: Lower end of the 95 % interval.
        high: Upper end.
    """

    n: int
    mean: float
    low: float
    high: float

    @property
    def ci95(self) -> list[float]:
        """The interval as ``[low, high]``."""
        return [self.low, self.high]


class ClusteredBootstrap:
    """Resamples of a fixed list of questions by cluster.

    Args:
        clusters: The cluster (picture) of each question.
        num_resamples: Resamples to draw.
        seed: Seed of the draw.
    """

    def __init__(self, clusters: Sequence[Hashable], num_resamples: int = NUM_RESAMPLES, seed: int = SEED) -> None:
        order = {cluster: index for index, cluster in enumerate(dict.fromkeys(clusters))}
        self._cluster_Q = np.array([order[cluster] for cluster in clusters], dtype=np.int64)
        count = max(len(order), 1)
        rng = np.random.default_rng(seed)
        # How often each cluster is drawn in each resample: all that a mean needs.
        draws_RC = rng.multinomial(count, np.full(count, 1 / count), size=num_resamples)
        self._draws_RC = draws_RC.astype(np.float64)

    def estimate(self, scores: Sequence[float], keep: Sequence[bool] | None = None) -> Estimate:
        """Return the mean of ``scores`` over the kept questions, with its interval."""
        scores_Q, keep_Q = self._arrays(scores, keep)
        means = self._resampled_means(scores_Q, keep_Q)
        return _summarise(float(scores_Q[keep_Q].mean()) if keep_Q.any() else 0.0, int(keep_Q.sum()), means)

    def difference(
        self, ours: Sequence[float], theirs: Sequence[float], keep: Sequence[bool] | None = None
    ) -> Estimate:
        """Return the mean of ``ours`` minus ``theirs`` question by question, with its paired interval."""
        return self.estimate(list(np.asarray(ours, dtype=float) - np.asarray(theirs, dtype=float)), keep)

    def _arrays(
        self, scores: Sequence[float], keep: Sequence[bool] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        scores_Q = np.asarray(scores, dtype=np.float64)
        if scores_Q.shape != self._cluster_Q.shape:
            raise ValueError(f"{scores_Q.size} scores for {self._cluster_Q.size} questions; give one per question.")
        keep_Q = np.ones(len(scores_Q), dtype=bool) if keep is None else np.asarray(keep, dtype=bool)
        return scores_Q, keep_Q

    def _resampled_means(self, scores_Q: NDArray[np.float64], keep_Q: NDArray[np.bool_]) -> NDArray[np.float64]:
        clusters = self._draws_RC.shape[1]
        sums_C = np.bincount(self._cluster_Q, weights=scores_Q * keep_Q, minlength=clusters)
        counts_C = np.bincount(self._cluster_Q, weights=keep_Q, minlength=clusters)
        totals_R = self._draws_RC @ counts_C
        means: NDArray[np.float64] = (self._draws_RC @ sums_C)[totals_R > 0] / totals_R[totals_R > 0]
        return means


def _summarise(mean: float, n: int, resampled: NDArray[np.float64]) -> Estimate:
    if n == 0 or resampled.size == 0:
        return Estimate(n, mean, mean, mean)
    tail = (1 - COVERAGE) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Estimate(n, mean, float(low), float(high))
