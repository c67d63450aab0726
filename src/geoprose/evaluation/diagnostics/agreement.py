"""Do raters agree with each other, and does a metric agree with raters.

Shapes: U units (rated answers), V distinct ratings, R resamples.
"""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray


def krippendorff_alpha(ratings: Iterable[Sequence[float]]) -> float:
    """Return Krippendorff's alpha for ordinal ratings: 1 is perfect agreement, 0 what chance gives.

    Args:
        ratings: The ratings of each unit, by any raters, as many as there are; a unit with one rating says nothing
            about agreement and is left out.

    Returns:
        Alpha; NaN without a unit that has two ratings, 1 where all ratings are equal.

    Source:
        Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), sections C and D.
    """
    units = [list(unit) for unit in ratings if len(unit) > 1]
    if not units:
        return float("nan")
    values = sorted({rating for unit in units for rating in unit})
    place = {value: number for number, value in enumerate(values)}
    coincidence_VV = np.zeros((len(values), len(values)))
    for unit in units:
        for first, second in permutations(unit, 2):
            coincidence_VV[place[first], place[second]] += 1 / (len(unit) - 1)
    counts_V = coincidence_VV.sum(1)
    distance_VV = _ordinal_distances(counts_V)
    total = counts_V.sum()
    expected = (np.outer(counts_V, counts_V) * distance_VV).sum() / (total - 1)
    observed = (coincidence_VV * distance_VV).sum()
    return 1.0 if expected == 0 else float(1 - observed / expected)


def _ordinal_distances(counts_V: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the squared distances of ordinal values: the ratings that lie between them, both ends halved."""
    below = np.concatenate([[0.0], np.cumsum(counts_V)])
    middle_V = (below[:-1] + below[1:]) / 2
    distances: NDArray[np.float64] = (middle_V[:, None] - middle_V[None, :]) ** 2
    return distances


def kendall_tau_b(first: Sequence[float], second: Sequence[float]) -> float:
    """Return Kendall's rank correlation, corrected for ties; NaN where one side has a single value.

    Source:
        Kendall, The treatment of ties in ranking problems, Biometrika 33 (1945).
    """
    from scipy.stats import kendalltau  # type: ignore[import-untyped]  # scipy ships no types

    if len(set(first)) < 2 or len(set(second)) < 2:
        return float("nan")
    return float(kendalltau(first, second, variant="b").statistic)


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    """Return Spearman's rank correlation, tied values at their mean rank; NaN where one side has a single value."""
    from scipy.stats import rankdata

    if len(set(first)) < 2 or len(set(second)) < 2:
        return float("nan")
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])


def tied_share(values: Sequence[float]) -> float:
    """Return the share of pairs that are tied."""
    n = len(values)
    return sum(count * (count - 1) for count in Counter(values).values()) / (n * (n - 1)) if n > 1 else 0.0
