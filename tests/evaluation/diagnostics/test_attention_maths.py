"""Figures of attention maps: by hand, and under moves."""

from __future__ import annotations

import numpy as np
import pytest

from geoprose.evaluation.diagnostics.attention_maths import covered, normalised_entropy, share_on, shifted_shares

CELLS = [(0, 0, 10, 10), (10, 0, 20, 10), (0, 10, 10, 20), (10, 10, 20, 20)]


def test_entropy_by_hand() -> None:
    rows = np.array([[1.0, 0, 0, 0], [2, 2, 2, 2], [1, 1, 0, 0]])
    assert normalised_entropy(rows) == pytest.approx([0, 1, 0.5])
    assert normalised_entropy(np.array([[3.0]])) == pytest.approx([0])


def test_cover_by_hand() -> None:
    assert covered(CELLS, [[5, 0, 15, 10]], (20, 20)) == pytest.approx([0.5, 0.5, 0, 0])
    assert covered(CELLS, [[0, 0, 10, 10], [0, 0, 10, 10]], (20, 20)) == pytest.approx([1, 0, 0, 0])
    # Half of a cell as a triangle; a cell on padding outside the picture is outside the region.
    assert covered(CELLS, [[0, 0, 10, 0, 0, 10]], (20, 20)) == pytest.approx([0.5, 0, 0, 0])
    assert covered(CELLS, [[0, 0, 20, 20]], (20, 10)) == pytest.approx([1, 1, 0, 0])


def test_share_by_hand() -> None:
    weights = np.array([[1.0, 1, 1, 1], [3, 1, 0, 0]])
    assert share_on(weights, np.array([1.0, 0, 0, 0])) == pytest.approx([0.25, 0.75])


def test_moved_maps_put_the_share_of_the_area_on_the_region() -> None:
    weights = np.zeros((1, 16))
    weights[0, 5] = 1
    cover = np.zeros(16)
    cover[[5, 6]] = 1
    shares = shifted_shares(weights, cover, 4, np.random.default_rng(0), 4000)
    assert shares.shape == (4000, 1)
    assert set(np.unique(shares)) == {0.0, 1.0}
    assert shares.mean() == pytest.approx(2 / 16, abs=0.02)
