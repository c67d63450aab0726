"""Exact tests against hand-computed values and scipy; the correction for several questions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from geoprose.evaluation.significance import Flips, flips, holm, mcnemar_exact, permutation_test


def test_flips_are_counted_each_way() -> None:
    assert flips([0, 0, 1, 1, 0.5], [1, 0, 0, 1, 0.75]) == Flips(gained=2, lost=1)


def test_mcnemar_of_a_hand_computed_table() -> None:
    # 8 gained, 2 lost: 2 * (C(10,0) + C(10,1) + C(10,2)) / 2**10 = 112 / 1024
    assert mcnemar_exact(8, 2) == pytest.approx(112 / 1024)
    assert mcnemar_exact(0, 0) == 1.0
    assert mcnemar_exact(5, 5) == 1.0


@given(gained=st.integers(0, 300), lost=st.integers(0, 300))
@settings(max_examples=50, deadline=None)
def test_mcnemar_is_the_binomial_test_of_the_discordant_pairs(gained: int, lost: int) -> None:
    expected = binomtest(gained, gained + lost, 0.5).pvalue if gained + lost else 1.0
    assert mcnemar_exact(gained, lost) == pytest.approx(expected)
    assert mcnemar_exact(gained, lost) == mcnemar_exact(lost, gained)


def test_few_clusters_are_tried_exhaustively() -> None:
    # three pictures, all better: only +++ and --- are as far from zero, 2 of 8
    assert permutation_test([0, 0, 0], [1, 1, 1], ["a", "b", "c"]) == pytest.approx(0.25)
    assert permutation_test([1, 0], [1, 0], ["a", "b"]) == 1.0


def test_clusters_make_the_test_honest() -> None:
    before, after = [0.0] * 40, [1.0] * 40
    apart = permutation_test(before, after, list(range(40)))
    one_picture_each_twenty = permutation_test(before, after, [place // 20 for place in range(40)])
    assert apart < 0.001
    assert one_picture_each_twenty == pytest.approx(0.5)  # two pictures: nothing can be concluded
    assert mcnemar_exact(40, 0) < 1e-9  # which takes the questions as independent and is far too sure


def test_random_permutations_are_near_the_exact_p_and_never_zero() -> None:
    rng = np.random.default_rng(3)
    difference = rng.choice([-1.0, 1.0], size=200, p=[0.43, 0.57])
    clusters = list(range(200))
    found = permutation_test([0.0] * 200, difference.tolist(), clusters)
    exact = binomtest(int((difference > 0).sum()), 200, 0.5).pvalue  # sign flips of ones are a binomial test
    assert found == pytest.approx(exact, abs=0.02)
    assert permutation_test([0.0] * 200, [1.0] * 200, clusters) > 0


def test_the_test_keeps_its_level_under_the_null() -> None:
    rng = np.random.default_rng(0)
    rejected = 0
    for _ in range(100):
        first, second = rng.integers(0, 2, (2, 60)).astype(float)
        rejected += permutation_test(first.tolist(), second.tolist(), [place // 5 for place in range(60)]) < 0.05
    assert rejected <= 12  # 5 expected; more than 12 of 100 has a chance below 0.2 %


def test_holm_of_a_hand_computed_family() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})
    assert holm({"a": 0.9, "b": 0.8}) == pytest.approx({"a": 1.0, "b": 1.0})
    assert holm({}) == {}
