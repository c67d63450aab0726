"""Intervals of figures that are no plain means: several conditions under the same resamples of the pictures.

Shapes: K conditions, Q questions, C clusters (pictures), R resamples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geoprose.evaluation.aggregate import COVERAGE, MAX_UNITS

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

NUM_RESAMPLES = 1000


class Resamples:
    """Draws of pictures with replacement, the same ones for every condition: ratios and differences are then paired.

    Args:
        clusters: The picture of each question.
        seed: Seed of the draws.
        num_resamples: How many draws.
    """

    def __init__(self, clusters: Sequence[Hashable], seed: int = 0, num_resamples: int = NUM_RESAMPLES) -> None:
        places = {cluster: place for place, cluster in enumerate(dict.fromkeys(clusters))}
        units = max(len(places), 1)
        rng = np.random.default_rng(seed)
        unit_C = np.arange(units)
        if units > MAX_UNITS:  # as in aggregate.py: dealt into hands, so that memory is bounded
            unit_C, units = rng.permutation(units) % MAX_UNITS, MAX_UNITS
        self._unit_Q = np.array([unit_C[places[cluster]] for cluster in clusters], dtype=np.int64)
        self._units = units
        self.draws_RC = rng.multinomial(units, np.full(units, 1 / units), size=num_resamples).astype(np.float64)

    def means(self, scores_KQ: Sequence[Sequence[float]] | NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean of each condition in each resample, (K, R); a question that is NaN is not in its condition.

        A resample that draws no question of a condition gives NaN there.
        """
        scores_KQ = np.atleast_2d(np.asarray(scores_KQ, dtype=np.float64))
        means = [self._means(scores_Q) for scores_Q in scores_KQ]
        return np.stack(means)

    def _means(self, scores_Q: NDArray[np.float64]) -> NDArray[np.float64]:
        is_in_Q = ~np.isnan(scores_Q)
        units = self._unit_Q[is_in_Q]
        sums_C = np.bincount(units, weights=scores_Q[is_in_Q], minlength=self._units)
        counts_R = self.draws_RC @ np.bincount(units, minlength=self._units).astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            means: NDArray[np.float64] = np.where(counts_R > 0, (self.draws_RC @ sums_C) / counts_R, np.nan)
        return means


def interval(values_R: NDArray[np.float64]) -> tuple[float, float]:
    """Return the 95 % percentile interval of resampled figures, those that are not finite left out.

    Returns:
        Both ends; NaN twice when no figure is finite.
    """
    finite = values_R[np.isfinite(values_R)]
    if not finite.size:
        return float("nan"), float("nan")
    tail = (1 - COVERAGE) / 2
    low, high = np.quantile(finite, [tail, 1 - tail])
    return float(low), float(high)


def mean_of(scores_Q: Sequence[float] | NDArray[np.float64]) -> float:
    """Return the mean over the questions that are not NaN; NaN without any."""
    finite = np.asarray(scores_Q, dtype=np.float64)
    finite = finite[~np.isnan(finite)]
    return float(finite.mean()) if finite.size else float("nan")


def plain(value: float) -> float | None:
    """Return a number for JSON: None where it is not finite."""
    return float(value) if np.isfinite(value) else None
