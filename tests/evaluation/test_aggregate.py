"""Clustered bootstrap: means by hand, determinism, pairing, coverage."""

from __future__ import annotations

import numpy as np
import pytest

from geoprose.evaluation import aggregate
from geoprose.evaluation.aggregate import ClusteredBootstrap


def test_means_and_counts_by_hand() -> None:
    bootstrap = ClusteredBootstrap(["a", "a", "b", "c"])
    assert bootstrap.estimate([1, 0, 1, 1]).mean == 0.75
    kept = bootstrap.estimate([1, 0, 1, 1], [True, True, False, False])
    assert (kept.n, kept.mean) == (2, 0.5)
    assert kept.ci95 is None  # one picture says nothing about others


def test_an_interval_is_cut_to_the_range_of_the_score() -> None:
    estimate = ClusteredBootstrap(list("abc")).estimate([-1.0, 0.9, 1.9])
    assert estimate.low < 0 < 1 < estimate.high
    assert estimate.as_share().ci95 == [0.0, 1.0]


def test_a_share_without_a_mistake_still_has_an_interval() -> None:
    bootstrap = ClusteredBootstrap(list(range(100)))
    right, wrong = bootstrap.estimate([1.0] * 100).as_share(), bootstrap.estimate([0.0] * 100).as_share()
    # Clopper-Pearson for 100 of 100: scipy.stats.beta.ppf(0.025, 100, 1).
    assert right.ci95 == pytest.approx([0.9637833073548235, 1.0])
    assert wrong.ci95 == pytest.approx([0.0, 1 - 0.9637833073548235])


def test_all_right_has_no_width_and_nothing_has_zero() -> None:
    bootstrap = ClusteredBootstrap(list(range(20)))
    assert bootstrap.estimate([1.0] * 20).ci95 == [1.0, 1.0]
    empty = bootstrap.estimate([1.0] * 20, [False] * 20)
    assert (empty.n, empty.mean, empty.ci95) == (0, 0.0, None)


def test_the_same_seed_gives_the_same_interval_and_another_does_not() -> None:
    scores = np.random.default_rng(3).random(50).tolist()
    clusters = list(range(50))
    first = ClusteredBootstrap(clusters).estimate(scores)
    assert ClusteredBootstrap(clusters).estimate(scores) == first
    assert ClusteredBootstrap(clusters, seed=1).estimate(scores).ci95 != first.ci95


def test_clusters_widen_the_interval() -> None:
    scores = [float(cluster % 2) for cluster in range(40) for _ in range(5)]
    alone = ClusteredBootstrap(list(range(200))).estimate(scores)
    clustered = ClusteredBootstrap([cluster for cluster in range(40) for _ in range(5)]).estimate(scores)
    widths = [high - low for low, high in (alone.ci95, clustered.ci95)]
    assert widths[1] == pytest.approx(widths[0] * 5**0.5, rel=0.1)


def test_a_difference_is_paired() -> None:
    rng = np.random.default_rng(0)
    base = rng.random(80)
    bootstrap = ClusteredBootstrap(list(range(80)))
    gap = bootstrap.difference((base + 0.1).tolist(), base.tolist())
    assert gap.mean == pytest.approx(0.1)
    assert gap.ci95 == pytest.approx([0.1, 0.1])  # the spread of the base cancels


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(7)
    covered = 0
    for trial in range(200):
        difficulty = np.repeat(rng.beta(2, 2, 60), 4)  # mean one half, shared by the questions of a picture
        scores = (rng.random(240) < difficulty).astype(float)
        estimate = ClusteredBootstrap(np.repeat(np.arange(60), 4).tolist(), 400, seed=trial).estimate(scores.tolist())
        covered += estimate.low <= 0.5 <= estimate.high
    assert 0.89 <= covered / 200 <= 0.99


def test_small_lists_keep_the_intervals_that_were_always_reported() -> None:
    estimate = ClusteredBootstrap(["a", "b", "a", "c", "d", "b", "e"], num_resamples=500).estimate(
        [1, 0, 0.5, 1, 0, 0.25, 1]
    )
    assert estimate.ci95 == [0.20833333333333334, 0.9166666666666666]
    rng = np.random.default_rng(5)
    clusters, scores = rng.integers(0, 300, 2000).tolist(), rng.random(2000).tolist()
    assert ClusteredBootstrap(clusters).estimate(scores).ci95 == [0.48664994790247196, 0.511194073689754]


@pytest.mark.parametrize("count", [aggregate.MULTINOMIAL_UNITS + 1, 60_000])
def test_many_clusters_give_the_width_of_theory_in_bounded_memory(count: int) -> None:
    scores = (np.random.default_rng(1).random(count) < 0.7).astype(float)
    bootstrap = ClusteredBootstrap(list(range(count)))
    estimate = bootstrap.estimate(scores.tolist())
    half = 1.96 * scores.std() / count**0.5
    assert estimate.high - estimate.low == pytest.approx(2 * half, rel=0.06)
    assert bootstrap._draws.size <= aggregate.NUM_RESAMPLES * aggregate.MAX_UNITS
    assert bootstrap._draws.sum(axis=1).tolist() == [min(count, aggregate.MAX_UNITS)] * aggregate.NUM_RESAMPLES


def test_many_clusters_stay_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregate, "MAX_UNITS", 500)
    scores = [float(cluster % 2) for cluster in range(3000) for _ in range(4)]
    alone = ClusteredBootstrap(list(range(12_000))).estimate(scores)
    clustered = ClusteredBootstrap([cluster for cluster in range(3000) for _ in range(4)]).estimate(scores)
    widths = [high - low for low, high in (alone.ci95, clustered.ci95)]
    assert widths[1] == pytest.approx(widths[0] * 2, rel=0.15)


def test_the_mean_at_some_places_is_that_of_a_mask() -> None:
    scores = np.random.default_rng(2).random(40)
    bootstrap = ClusteredBootstrap([number // 4 for number in range(40)])
    places = np.array([3, 7, 20, 21])
    keep = [place in places for place in range(40)]
    assert bootstrap.estimate_at(scores[places], places) == bootstrap.estimate(scores.tolist(), keep)


def test_scores_must_match_the_questions() -> None:
    with pytest.raises(ValueError, match="one per question"):
        ClusteredBootstrap(["a", "b"]).estimate([1.0])
