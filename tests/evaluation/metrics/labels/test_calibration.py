"""Ranked answers and how sure they are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoprose.evaluation.metrics.labels.calibration import (
    brier_score,
    expected_calibration_error,
    reliability_bins,
    softmax,
)
from tests.evaluation.metrics.items import item, judge, score

ANSWERS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60)


def test_ece_by_hand() -> None:
    # two answers at 0.95 of which one is right, two at 0.55 of which both are right
    bins = reliability_bins([0.95, 0.95, 0.55, 0.55], [True, False, True, True], num_bins=10)
    assert [(one.low, one.high, one.n, one.accuracy) for one in bins] == [
        (pytest.approx(0.5), pytest.approx(0.6), 2, 1.0),
        (pytest.approx(0.9), pytest.approx(1.0), 2, 0.5),
    ]
    assert expected_calibration_error(bins) == pytest.approx(0.5 * 0.45 + 0.5 * 0.45)
    assert expected_calibration_error([]) == 0.0


def test_bins_are_closed_above() -> None:
    places = [(one.low, one.high) for one in reliability_bins([0.0, 0.2, 0.2000001, 1.0], [True] * 4, num_bins=5)]
    assert places == [(0.0, 0.2), (0.2, 0.4), (0.8, 1.0)]


@given(ANSWERS, st.booleans())
def test_bins_hold_every_answer_once(answers: list[tuple[float, bool]], equal_mass: bool) -> None:
    confidences, correct = [c for c, _ in answers], [right for _, right in answers]
    bins = reliability_bins(confidences, correct, equal_mass=equal_mass)
    assert sum(one.n for one in bins) == len(answers)
    assert sum(one.n * one.accuracy for one in bins) == pytest.approx(sum(correct))
    assert 0 <= expected_calibration_error(bins) <= 1
    if equal_mass and len(answers) >= 15:
        assert max(one.n for one in bins) - min(one.n for one in bins) <= 1


def test_a_sure_and_right_system_is_calibrated() -> None:
    assert expected_calibration_error(reliability_bins([1.0] * 9, [True] * 9)) == 0.0
    assert expected_calibration_error(reliability_bins([1.0] * 9, [False] * 9)) == 1.0


@given(st.dictionaries(st.sampled_from("abcde"), st.floats(-900, 900), min_size=1), st.floats(-5, 5))
def test_softmax(scores: dict[str, float], shift: float) -> None:
    probabilities = softmax(scores)
    assert sum(probabilities.values()) == pytest.approx(1.0)
    shifted = softmax({name: value + shift for name, value in scores.items()})
    assert shifted == pytest.approx(probabilities, abs=1e-9)


@pytest.mark.parametrize("scores", [{}, {"a": math.nan}, {"a": math.inf}])
def test_scores_that_are_no_numbers(scores: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="not finite"):
        softmax(scores)


def test_brier_by_hand() -> None:
    assert brier_score({"a": 0.7, "b": 0.3}, "a") == pytest.approx(0.09 + 0.09)
    assert brier_score({"a": 1.0}, "a") == 0.0
    assert brier_score({"a": 1.0}, "z") == 2.0


def test_equal_to_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    probabilities, truths = rng.random(50), rng.integers(0, 2, 50)
    ours = np.mean([brier_score({"1": p, "0": 1 - p}, str(t)) for p, t in zip(probabilities, truths, strict=True)])
    assert ours == pytest.approx(2 * sklearn.brier_score_loss(truths, probabilities))


def test_ranked_answers() -> None:
    rows = [
        item("", "Forest", scores={"forest": -0.1, "water": -2.0}),
        item("", "water", scores={"forest": -0.1, "water": -2.0}),
        item("", "water", scores={}),
        item("", "water", scores={"forest": math.nan, "water": 0.0}),
        item("", "water", scores={"forest": -1.0, "water": -1.0}),  # a tie is decided by nothing
    ]
    judged = judge("scene", "ranked", *rows)
    assert [judgement.score for judgement in judged.judgements] == [1, 0, 0, 0, 0]
    assert [judgement.is_parsed for judgement in judged.judgements] == [True, True, False, False, True]
    assert judged.judgements[0].truth == judged.judgements[0].label == "forest"
    assert judged.corpus["with_scores"] == pytest.approx(3 / 5)
    sure = math.exp(-0.1) / (math.exp(-0.1) + math.exp(-2.0))
    assert judged.corpus["mean_confidence"] == pytest.approx((2 * sure + 0.5) / 3)
    assert judged.tables["reliability"]["kind"] == "reliability"
    assert "score" in judge("scene", "ranked", item("x", "y")).unavailable
    assert judge("scene", "ranked").unavailable == {}


def test_ranked_options_by_letter_or_by_text() -> None:
    options = ["harbor", "1.5", "15"]
    by_letter = item("", "B", options=options, scores={"A": -1.0, "B": -0.5, "C": -2.0})
    by_text = item("", "x", options=options, answer_index=1, scores={"harbor": -1.0, "1.5": -0.5, "15": -2.0})
    assert score("choice", "ranked", by_letter) == score("choice", "ranked", by_text) == 1.0
    wrong = item("", "C", options=options, scores={"harbor": -1.0, "1.5": -0.5, "15": -2.0})
    assert judge("choice", "ranked", wrong).judgements[0].label == "1.5"
    assert score("choice", "ranked", wrong) == 0.0


def test_numbers_are_told_apart_without_options() -> None:
    assert score("scene", "ranked", item("", "15", scores={"1.5": 0.0, "15": -1.0})) == 0.0


def test_top_five() -> None:
    scores = {str(number): -float(number) for number in range(10)}
    rows = [item("", str(number), scores=scores) for number in range(10)]
    judged = judge("scene", "ranked", *rows)
    assert sum(judgement.extras["top5"] for judgement in judged.judgements) == 5
