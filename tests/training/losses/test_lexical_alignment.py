"""The lexical losses against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from geoprose.training.losses.lexical_alignment import (
    class_directions,
    lexical_alignment,
    lexical_alignment_captions,
    lexical_readout,
)


def test_mse_by_hand() -> None:
    tokens = torch.tensor([[[1.0, 0.0], [0.0, 2.0]]])
    targets = torch.tensor([[[0.0, 0.0], [0.0, 0.0]]])
    weights = torch.tensor([[1.0, 0.5]])
    # d = (1/2, 4/2) / scale^2 with scale 2, weighted 1 and 0.5: 0.125 + 0.25
    assert float(lexical_alignment(tokens, targets, weights, "mse", 2.0)) == pytest.approx(0.375)


def test_cosine_by_hand() -> None:
    tokens = torch.tensor([[[3.0, 0.0], [0.0, 1.0]]])
    targets = torch.tensor([[[1.0, 1.0], [1.0, 0.0]]])
    expected = (1 - math.sqrt(0.5)) + 2 * 1.0
    assert float(lexical_alignment(tokens, targets, torch.tensor([[1.0, 2.0]]), "cosine")) == pytest.approx(expected)


def test_unlabelled_tokens_do_not_count() -> None:
    tokens = torch.randn(1, 3, 4, requires_grad=True)
    lexical_alignment(tokens, torch.zeros(1, 3, 4), torch.tensor([[1.0, 0.0, 1.0]])).backward()
    assert tokens.grad is not None
    assert tokens.grad[0, 1].abs().sum() == 0
    assert tokens.grad[0, 0].abs().sum() > 0


def test_readout_by_hand() -> None:
    tokens = torch.tensor([[[math.log(3.0), 0.0]]])
    shares = torch.tensor([[[1.0, 0.0]]])
    affine = (torch.tensor(1.0), torch.zeros(2))
    loss = lexical_readout(tokens, shares, torch.ones(1, 1), torch.eye(2), affine)
    assert float(loss) == pytest.approx(-math.log(0.75))


def test_directions_are_centred_units() -> None:
    directions = class_directions(torch.tensor([[2.0, 5.0], [0.0, 5.0]]))
    assert torch.allclose(directions, torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))


def test_captions_by_hand() -> None:
    # Two tokens along the two words; word 0 said, word 1 not; tau 1: both scores are log(mean(e^1, e^0)), so p = 1/2.
    tokens = torch.eye(2)[None]
    loss = lexical_alignment_captions(tokens, torch.eye(2), torch.tensor([[True, False]]), temperature=1.0)
    assert float(loss) == pytest.approx(math.log(2.0))


def test_captions_need_one_token_per_said_word() -> None:
    words = torch.eye(3)
    said = torch.tensor([[True, True, False]])
    matched = torch.stack([words[0], words[1], words[1]])[None]
    missing = torch.stack([words[0], words[0], words[2]])[None]
    good = lexical_alignment_captions(matched, words, said)
    bad = lexical_alignment_captions(missing, words, said)
    assert float(good) < 0.01 < 1.0 < float(bad)


def test_said_words_do_not_compete() -> None:
    words = torch.eye(2)
    loss = lexical_alignment_captions(words[:1][None], words, torch.tensor([[True, True]]))
    assert float(loss) == pytest.approx(0.0, abs=1e-6)
