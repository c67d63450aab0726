"""Coarser pictures: means over areas, exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoprose.evaluation.diagnostics.coarsen import area_weights, coarsened, coarsened_at_size


def test_weights_of_one_and_a_half_are_fractions_of_pixels() -> None:
    assert area_weights(3, 2) == pytest.approx(np.array([[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]]))


@given(st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_weights_take_every_pixel_once(length: int, coarse: int) -> None:
    weights = area_weights(length, min(coarse, length))
    assert weights.sum(1) == pytest.approx(1)
    assert weights.sum(0) == pytest.approx(min(coarse, length) / length)


def test_means_of_blocks() -> None:
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[:2, :2] = [[[10], [20]], [[30], [40]]]
    assert coarsened(pixels, 2)[..., 0].tolist() == [[25, 0], [0, 0]]
    assert coarsened(pixels, 4).shape == (1, 1, 3)
    assert coarsened(pixels, 100).shape == (1, 1, 3)
    assert coarsened(pixels, 1) is pixels


def test_the_mean_colour_and_the_size_stay_and_detail_goes() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (30, 45, 3), dtype=np.uint8)
    spreads = []
    for factor in (1, 1.5, 2, 3, 4, 8):
        coarse = coarsened_at_size(pixels, factor)
        assert coarse.shape == pixels.shape
        assert abs(coarse.mean() - pixels.mean()) < 3
        spreads.append(float(coarse.std()))
    assert spreads == sorted(spreads, reverse=True)
    assert spreads[-1] < spreads[0] / 4
