"""One figure for a curve of accuracy against degradation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def area_under_relative(
    factors_K: Sequence[float], scores_KR: NDArray[np.float64], floor: float | NDArray[np.float64] = 0.0
) -> NDArray[np.float64]:
    """Return the area under score / score at the first factor, over the logarithm of the factor, on a range of 1.

    1 means that nothing is lost; the trapezoidal rule joins the points. With a floor (the score without seeing) the
    part above it is compared: ``(score - floor) / (first - floor)``; NaN where the first score is not above it.

    Args:
        factors_K: Factors, ascending, at least two.
        scores_KR: Scores per factor; one column, or one per resample.
        floor: What counts as nothing; one number, or one per resample.

    Returns:
        One figure per column (R,).

    Source:
        No standard exists in this field. The retention of ImageNet-C (Hendrycks and Dietterich, arXiv:1903.12261) is
        the same ratio without the axis; the axis is logarithmic because sensors come in octaves.
    """
    scores_KR = np.asarray(scores_KR, dtype=np.float64).reshape(len(factors_K), -1)
    axis_K = np.log2(np.asarray(factors_K, dtype=np.float64))
    with np.errstate(invalid="ignore", divide="ignore"):
        above_KR = scores_KR - floor
        relative_KR = np.where(above_KR[0] > 1e-12, above_KR / above_KR[0], np.nan)
    steps_K = np.diff(axis_K)[:, None]
    area: NDArray[np.float64] = ((relative_KR[1:] + relative_KR[:-1]) / 2 * steps_K).sum(0) / (axis_K[-1] - axis_K[0])
    return area


def pareto_front(costs: Sequence[float], gains: Sequence[float]) -> list[bool]:
    """Tell for each point whether no other one costs at most as much and gains at least as much, one of them strictly.

    Source:
        Definition of Pareto efficiency; a point that equals another one is on the front with it.
    """
    points = list(zip(costs, gains, strict=True))
    return [not any(c <= cost and g >= gain and (c < cost or g > gain) for c, g in points) for cost, gain in points]
