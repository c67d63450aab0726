"""Areas under relative accuracy, Pareto fronts, joint resamples: by hand."""

from __future__ import annotations

import numpy as np
import pytest

from geoprose.evaluation.diagnostics.curves import area_under_relative, pareto_front
from geoprose.evaluation.diagnostics.resampling import Resamples, interval, mean_of


def test_area_by_hand() -> None:
    # Relative scores 1, 0.5, 0.25 at 1, 2, 8; on the axis of logarithms 0, 1, 3: (0.75 * 1 + 0.375 * 2) / 3.
    assert area_under_relative([1, 2, 8], np.array([0.8, 0.4, 0.2])) == pytest.approx([0.5])
    assert area_under_relative([1, 2, 8], np.array([0.8, 0.8, 0.8])) == pytest.approx([1])


def test_area_above_a_floor_by_hand() -> None:
    # Above 0.2: 0.6, 0.2, 0 is 1, 1/3, 0: (2/3 * 1 + 1/6 * 2) / 3.
    assert area_under_relative([1, 2, 8], np.array([0.8, 0.4, 0.2]), 0.2) == pytest.approx([1 / 3])


def test_no_area_where_nothing_is_above_the_floor() -> None:
    assert np.isnan(area_under_relative([1, 2], np.array([0.2, 0.3]), 0.2)).all()
    assert np.isnan(area_under_relative([1, 2], np.array([0.0, 0.0]))).all()


def test_front_by_hand() -> None:
    costs, gains = [1, 2, 3, 3, 2], [0.5, 0.4, 0.7, 0.7, 0.5]
    assert pareto_front(costs, gains) == [True, False, True, True, False]


def test_differences_are_paired_and_ratios_of_equal_scores_have_no_spread() -> None:
    rng = np.random.default_rng(1)
    clusters = [f"picture {place // 3}" for place in range(90)]
    scores = rng.integers(0, 2, 90).astype(float)
    draws = Resamples(clusters)
    first, second = draws.means(np.stack([scores, scores * 0.5]))
    assert second / first == pytest.approx(0.5)
    low, high = interval(first)
    assert low < scores.mean() < high


def test_clusters_widen_an_interval() -> None:
    scores = np.repeat(np.random.default_rng(2).integers(0, 2, 30), 10).astype(float)
    alone, together = Resamples(range(300)), Resamples([place // 10 for place in range(300)])
    widths = [np.subtract(*interval(draws.means(scores)[0])[::-1]) for draws in (alone, together)]
    assert widths[1] > 2 * widths[0]


def test_questions_left_out_do_not_count() -> None:
    scores = np.array([1.0, np.nan, 0.0, np.nan])
    assert mean_of(scores) == 0.5
    assert np.isnan(mean_of([np.nan]))
    means = Resamples(["a", "a", "b", "b"]).means(scores)[0]
    assert set(np.unique(means)) <= {0.0, 0.5, 1.0}
    assert np.isnan(Resamples(["a"]).means([[np.nan]])).all()


def test_many_clusters_are_dealt_into_hands() -> None:
    draws = Resamples(range(12_000), num_resamples=20)
    assert draws.draws_RC.shape == (20, 10_000)
    assert draws.means(np.ones(12_000))[0] == pytest.approx(1)


def test_an_interval_of_nothing_is_nan() -> None:
    assert np.isnan(interval(np.array([np.nan]))).all()
