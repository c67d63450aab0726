"""Rules for several boxes: by hand, invariant to order, and wrong in the direction a faulty one is flagged for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoprose.core.errors import ConfigError
from geoprose.core.types import Box
from geoprose.evaluation.metrics.boxes.matching import (
    Rule,
    check_rule,
    credit,
    greedy,
    hungarian,
    match_boxes,
    match_table,
    mean_iou,
)

TABLES = st.integers(0, 5).flatmap(
    lambda rows: st.integers(0, 5).flatmap(
        lambda columns: st.lists(
            st.floats(0, 1, allow_nan=False), min_size=rows * columns, max_size=rows * columns
        ).map(lambda values: np.array(values).reshape(rows, columns))
    )
)


def test_matching_is_one_to_one() -> None:
    truth = [Box(0, 0, 2, 2), Box(10, 0, 12, 2)]
    twice = match_boxes([Box(0, 0, 2, 2), Box(0, 0, 2, 2)], truth)
    assert twice.f1(0.5) == pytest.approx(0.5)
    assert twice.recall(0.5) == 0.5
    assert twice.precision(0.5) == 0.5
    assert match_boxes([], truth).recall(0.5) == 0.0
    assert match_boxes([], []).f1(0.5) == 1.0


def test_greedy_and_hungarian_differ_where_the_best_pair_blocks_two() -> None:
    table = np.array([[0.9, 0.8], [0.8, 0.1]])
    assert set(greedy(table)) == {(0, 0), (1, 1)}  # 0.9 + 0.1
    assert set(hungarian(table)) == {(0, 1), (1, 0)}  # 0.8 + 0.8
    assert (credit(table, "greedy", 0.5), credit(table, "one_to_one", 0.5)) == (0.5, 1.0)


@settings(max_examples=80, deadline=None)
@given(TABLES, st.randoms(use_true_random=False))
def test_matching_does_not_depend_on_the_order_of_boxes(table: np.ndarray, random: object) -> None:
    rows, columns = list(range(table.shape[0])), list(range(table.shape[1]))
    random.shuffle(rows)  # type: ignore[attr-defined]
    random.shuffle(columns)  # type: ignore[attr-defined]
    shuffled = table[np.ix_(rows, columns)]
    assert sum(match_table(shuffled).ious) == pytest.approx(sum(match_table(table).ious))
    assert credit(shuffled, "any", 0.5) == credit(table, "any", 0.5)
    pairs = hungarian(table)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == min(table.shape)


@settings(max_examples=80, deadline=None)
@given(TABLES)
def test_hungarian_total_is_at_least_greedy(table: np.ndarray) -> None:
    best, first = (sum(match_table(table, pairs).ious) for pairs in (hungarian(table), greedy(table)))
    assert best >= first - 1e-12


RULES: dict[Rule, float] = {
    "single_or_all": 0.0,  # one of two is missed
    "all_matched": 0.0,
    "any": 1.0,
    "first": 0.0,
    "one_to_one": 0.5,
    "greedy": 0.5,
}


@pytest.mark.parametrize(("rule", "expected"), RULES.items())
def test_rules_by_hand(rule: Rule, expected: float) -> None:
    table = np.array([[0.1, 0.0], [0.0, 0.9]])  # only the second box matches, and the second reference
    assert credit(table, rule, 0.5) == expected


def test_any_rewards_naming_everything_and_the_default_does_not() -> None:
    everywhere = np.zeros((50, 2))
    everywhere[37, 1] = 0.9
    assert credit(everywhere, "any", 0.5) == 1.0
    assert credit(everywhere, "one_to_one", 0.5) < 0.05
    assert credit(everywhere, "all_matched", 0.5) == 0.0


def test_a_single_reference_is_judged_by_the_first_box() -> None:
    assert credit(np.array([[0.6], [0.9]]), "single_or_all", 0.5) == 1.0
    assert credit(np.array([[0.1], [0.9]]), "single_or_all", 0.5) == 0.0
    assert mean_iou(np.array([[0.1], [0.9]]), "single_or_all") == 0.1
    assert mean_iou(np.array([[0.1], [0.9]]), "one_to_one") == 0.9


def test_nothing_named_and_nothing_asked() -> None:
    for rule in RULES:
        assert credit(np.zeros((0, 0)), rule, 0.5) == 1.0
        assert credit(np.zeros((0, 2)), rule, 0.5) == 0.0
        assert credit(np.zeros((2, 0)), rule, 0.5) == 0.0


def test_unknown_rule() -> None:
    with pytest.raises(ConfigError, match="single_or_all"):
        check_rule("best")
