"""Scores of single items whose mean is a ratio of two sums, so that intervals of pooled figures are right.

A pooled figure (all intersections over all unions, right boxes over predicted boxes) is no mean over items. Its
linearisation is: ``score_i = r + (numerator_i - r * denominator_i) / mean(denominator)`` has the mean ``r`` exactly,
and a bootstrap over items gives the delta-method interval of ``r``. A single such score may lie outside 0..1.

Source:
    Cochran, Sampling Techniques, 3rd ed., 1977, chapter 6 (ratio estimator and its linearised variance).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence


def ratio_scores(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    """Return one score per item; their mean is ``sum(numerators) / sum(denominators)``, 0 when there is nothing."""
    top, bottom = np.asarray(numerators, dtype=np.float64), np.asarray(denominators, dtype=np.float64)
    total = float(bottom.sum())
    if total == 0:
        return [0.0] * len(top)
    ratio = float(top.sum()) / total
    scores: list[float] = (ratio + (top - ratio * bottom) * (len(top) / total)).tolist()
    return scores
