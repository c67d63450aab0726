"""Which answer is preferred, and when none is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoprose.evaluation.prefer.choose import Choice, choose


@pytest.mark.parametrize(
    ("texts", "scores", "expected"),
    [
        (["a", "b", "c"], [0.0, 1.0, 0.5], Choice("pair", 1, 0)),
        (["a", "b"], [1.0, 1.0], Choice("tie")),
        (["a", "b"], [0.0, 0.0], Choice("all_bad")),
        (["a", "", "b"], [1.0, 0.0, 0.5], Choice("pair", 0, 2)),
        (["", ""], [1.0, 1.0], Choice("all_bad")),
        (["yes", "no", "sure", "sure", "nay", "nay"], [1, 0, 1, 1, 0, 0], Choice("pair", 2, 4)),
    ],
)
def test_best_against_worst(texts: list[str], scores: list[float], expected: Choice) -> None:
    assert choose(texts, scores) == expected


def test_a_gap_too_small_is_a_tie() -> None:
    assert choose(["a", "b"], [0.6, 0.5], 0.2) == Choice("tie")
    assert choose(["a", "b"], [0.8, 0.5], 0.2).outcome == "pair"


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c", ""]), st.integers(0, 3)), min_size=1))
def test_a_pair_is_always_better_than_worse(answers: list[tuple[str, int]]) -> None:
    texts, scores = [text for text, _ in answers], [float(score) for _, score in answers]
    choice = choose(texts, scores)
    if choice.outcome == "pair":
        assert scores[choice.chosen] > scores[choice.rejected]
        assert texts[choice.chosen]
        assert texts[choice.rejected]
