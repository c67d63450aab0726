"""Distances between inner states, by hand."""

from __future__ import annotations

import math

import pytest
import torch

from geoprose.core.errors import ConfigError
from geoprose.training.distillation.alignment import (
    layer_pairs,
    masked_mean,
    relation_divergence,
    relations,
    resample_grid,
    sees_pictures,
    state_distance,
)


def test_layers_of_equal_depth_are_paired() -> None:
    assert layer_pairs(2, 3, 3) == [(0, 0), (1, 2), (2, 3)]
    assert layer_pairs(32, 40, 3) == [(0, 0), (16, 20), (32, 40)]
    assert layer_pairs(4, 4, 1) == [(4, 4)]
    assert layer_pairs(1, 6, 3) == [(0, 0), (1, 6)]


def test_distance_ignores_size_and_mean() -> None:
    states = torch.randn(4, 8, dtype=torch.float64)
    torch.testing.assert_close(
        state_distance(3 * states + 2, states), torch.zeros(4, dtype=torch.float64), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(
        state_distance(-states, states), torch.full((4,), 2.0, dtype=torch.float64), atol=1e-5, rtol=0
    )
    one, other = torch.tensor([[1.0, -1.0, 1.0, -1.0]]), torch.tensor([[1.0, 1.0, -1.0, -1.0]])
    assert float(state_distance(one, other)) == pytest.approx(1.0)


def test_relations_by_hand() -> None:
    text, visual = torch.tensor([[1.0, 0.0]]), torch.tensor([[2.0, 0.0], [0.0, 3.0], [5.0, 0.0]])
    sees = torch.tensor([[True, True, False]])
    expected = math.exp(2) / (math.exp(2) + 1)  # cosines 1 and 0 at temperature 0.5; the third is not seen
    assert relations(text, visual, sees, 0.5).exp()[0].tolist() == pytest.approx([expected, 1 - expected, 0.0])
    teacher = (torch.tensor([[0.0, 1.0, 0.0]]), torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 1.0, 1.0]]))
    divergence = relation_divergence((text, visual), teacher, sees, 0.5)
    by_hand = expected * math.log(expected / (1 - expected)) + (1 - expected) * math.log((1 - expected) / expected)
    assert float(divergence) == pytest.approx(by_hand, rel=1e-5)


def test_a_text_that_sees_no_picture_gives_zero_and_finite_gradients() -> None:
    text = torch.randn(2, 3, requires_grad=True)
    visual = torch.randn(4, 3)
    sees = torch.tensor([[True] * 4, [False] * 4])
    values = relation_divergence((text, visual), (torch.randn(2, 5), torch.randn(4, 5)), sees, 0.1)
    assert float(values[1].detach()) == pytest.approx(0.0, abs=1e-6)
    masked_mean(values, sees.any(-1)).backward()
    assert torch.isfinite(text.grad).all()
    assert torch.equal(text.grad[1], torch.zeros(3))


def test_resampling_halves_a_ramp() -> None:
    ramp = torch.arange(4.0, dtype=torch.float64).repeat(4, 1).reshape(1, 16, 1)
    small = resample_grid(ramp, 4).reshape(2, 2)
    assert small[0].tolist() == small[1].tolist()
    assert float(small.mean()) == pytest.approx(1.5)
    assert float(small[0, 1] - small[0, 0]) > 1.0
    assert resample_grid(ramp, 16) is ramp
    with pytest.raises(ConfigError, match="not both a square"):
        resample_grid(ramp, 5)


def test_text_sees_the_pictures_of_its_own_row_that_stand_before_it() -> None:
    causal = torch.ones(5, 5, dtype=torch.bool).tril().repeat(2, 1, 1)
    is_visual = torch.tensor([[False, True, True, False, False], [True, True, False, False, False]])
    sees = sees_pictures(causal, ~is_visual, is_visual, 2)
    assert sees.tolist() == [[False, False], [True, False], [True, False], [False, True], [False, True], [False, True]]
