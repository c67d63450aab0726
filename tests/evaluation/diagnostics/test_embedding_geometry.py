"""The shape of embeddings: by hand on few points, and in known limits."""

from __future__ import annotations

import numpy as np
import pytest

from geoprose.evaluation.diagnostics.embedding_geometry import (
    alignment,
    effective_rank,
    modality_gap,
    occurrences,
    potentials,
    skewness,
    uniformity,
)

X, Y = np.array([1.0, 0.0]), np.array([0.0, 1.0])


def _sphere(n: int, width: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(n, width))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_alignment_by_hand() -> None:
    assert alignment(np.stack([X, X, X]), np.stack([X, Y, -X])).tolist() == [0, 2, 4]


def test_uniformity_by_hand() -> None:
    # Pairs of X, Y, -X: squared distances 2, 4, 2; mean of exp(-4), exp(-8), exp(-4).
    kernel = potentials(np.stack([X, Y, -X]))
    assert uniformity(kernel) == pytest.approx([np.log((2 * np.exp(-4) + np.exp(-8)) / 3)])
    assert uniformity(potentials(np.stack([X, X, X]))) == pytest.approx([0])


def test_uniformity_of_a_wide_sphere_is_near_its_limit() -> None:
    assert uniformity(potentials(_sphere(600, 512)))[0] == pytest.approx(-3.98, abs=0.03)
    assert uniformity(potentials(_sphere(600, 3)))[0] > -3


def test_copies_in_a_resample_are_no_pairs() -> None:
    kernel = potentials(np.stack([X, Y, -X]))
    once, twice = uniformity(kernel, np.array([[1.0, 1, 0], [2.0, 2, 0]]))
    assert once == pytest.approx(twice) == pytest.approx(-4)


def test_occurrences_and_hubs_by_hand() -> None:
    queries, corpus = np.stack([X, Y, X]), np.stack([X, Y, (X + Y) / np.sqrt(2)])
    assert occurrences(queries, corpus, 1).tolist() == [2, 1, 0]
    assert occurrences(queries, corpus, 2).tolist() == [2, 1, 3]
    assert skewness(np.array([1, 1, 1])) == 0
    # Values 0, 0, 3: mean 1, standard deviation sqrt(2), third moment (-1 - 1 + 8) / 3 = 2.
    assert skewness(np.array([0, 0, 3])) == pytest.approx(2 / 2**1.5)


def test_effective_rank_counts_directions() -> None:
    basis = np.eye(4)
    assert effective_rank(basis, is_centred=False) == pytest.approx(4)
    assert effective_rank(np.stack([X, -X, X, -X])) == pytest.approx(1)
    assert effective_rank(np.stack([X, X])) == 1
    assert effective_rank(_sphere(400, 16)) > 15


def test_gap_by_hand() -> None:
    assert modality_gap(np.stack([X, Y]), np.stack([-X, -Y])) == pytest.approx(2**0.5)
    assert modality_gap(np.stack([X, Y]), np.stack([Y, X])) == 0
