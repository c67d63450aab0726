"""Scores whose mean is a ratio: the mean is exact, and a bootstrap over them gives the interval of the ratio."""

from __future__ import annotations

import numpy as np
import pytest

from geoprose.evaluation.metrics.jackknife import jackknife_scores
from geoprose.evaluation.metrics.ratio import ratio_scores


def test_the_mean_is_the_ratio() -> None:
    assert np.mean(ratio_scores([1, 0, 3], [2, 1, 5])) == pytest.approx(4 / 8)
    assert ratio_scores([1, 1], [1, 1]) == [1.0, 1.0]
    assert ratio_scores([0, 0], [0, 0]) == [0.0, 0.0]
    assert ratio_scores([], []) == []


def test_the_spread_is_that_of_the_resampled_ratio() -> None:
    rng = np.random.default_rng(0)
    below = rng.integers(1, 10, 400).astype(float)
    above = rng.binomial(below.astype(int), 0.3).astype(float)
    draws = rng.integers(0, 400, (2000, 400))
    resampled = above[draws].sum(axis=1) / below[draws].sum(axis=1)
    linear = np.array(ratio_scores(above.tolist(), below.tolist()))[draws].mean(axis=1)
    assert linear.std() == pytest.approx(resampled.std(), rel=0.05)


@pytest.mark.parametrize("count", [7, 200])
def test_jackknife_has_the_figure_as_mean_and_the_spread_of_a_mean(count: int) -> None:
    values = np.random.default_rng(1).normal(size=count)
    blocks = np.arange(count) % min(count, 50)
    scores = jackknife_scores(float(values.mean()), lambda b: float(values[blocks != b].mean()), count)
    assert np.mean(scores) == pytest.approx(values.mean())
    assert np.std(scores) == pytest.approx(np.std(values), rel=0.01 if count <= 50 else 0.35)


def test_jackknife_of_one_item() -> None:
    assert jackknife_scores(0.4, lambda block: 0.0, 1) == [0.4]
    assert jackknife_scores(0.4, lambda block: 0.0, 0) == []
