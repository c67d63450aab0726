from __future__ import annotations

import numpy as np
import pytest

from geoprose.experiments.reproduce.base import Arm, MetricColumn, Trial
from geoprose.experiments.reproduce.findings import contrasts, listed, points
from geoprose.experiments.reproduce.score_table import Interval, ScoreTable
from geoprose.experiments.reproduce.scores import Measured


def table_of(**arms: list[np.ndarray]) -> ScoreTable:
    """Each arm: the scores of its seeds."""
    trials = {}
    for name, seeds in arms.items():
        for seed, values in enumerate(seeds):
            ids = tuple(map(str, range(len(values))))
            trials[Trial(Arm(name, name), seed)] = {"m": Measured(ids, ids, tuple(map(float, values)))}
    return ScoreTable(trials)


def draws(chance: float, seeds: int = 3, questions: int = 150, first: int = 0) -> list[np.ndarray]:
    return [np.random.default_rng(first + seed).random(questions) < chance for seed in range(seeds)]


def test_the_three_directions() -> None:
    table = table_of(low=draws(0.3), same=draws(0.31, first=10), high=draws(0.7, first=20))
    found = {(one.arm, one.reference): one.direction for one in contrasts(
        table, [("high", "low", "m"), ("low", "high", "m"), ("same", "low", "m")])}  # fmt: skip
    assert found == {("high", "low"): "higher", ("low", "high"): "lower", ("same", "low"): "undecided"}


def test_a_difference_that_seeds_do_not_share_is_undecided() -> None:
    """Every picture says yes, but the seeds disagree wildly: pictures alone would call it decided."""
    questions = 150
    base = [np.full(questions, 0.5)] * 3
    jumping = [np.full(questions, level) for level in (1.0, 0.45, 0.5)]
    (one,) = contrasts(table_of(base=base, jumping=jumping), [("jumping", "base", "m")])
    assert one.p_holm < 0.05
    assert one.difference.low <= 0
    assert one.direction == "undecided"


def test_asking_often_raises_p() -> None:
    table = table_of(a=draws(0.3), b=draws(0.42, first=10), c=draws(0.3, first=30), d=draws(0.3, first=40))
    (alone,) = contrasts(table, [("b", "a", "m")])
    among = contrasts(table, [("b", "a", "m"), ("c", "a", "m"), ("d", "a", "m")])
    assert alone.p_holm == alone.p == among[0].p
    assert among[0].p_holm == pytest.approx(min(1.0, 3 * alone.p))


def test_what_was_not_measured_is_left_out() -> None:
    assert contrasts(table_of(a=draws(0.3)), [("b", "a", "m"), ("a", "a", "other")]) == []


def test_words() -> None:
    column = MetricColumn("m", "M")
    assert points(Interval(0.031, -0.004, 0.059), column) == "+3.1 points (95 % interval -0.4 to +5.9)"
    assert listed([]) == ""
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
