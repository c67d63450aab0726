"""The reward head's loss, by hand, and the head that outlives its stage."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from geoprose.training.forward import Forward
from geoprose.training.losses.reward_pairs import reward_pair_losses
from geoprose.training.preference.reward_head import REWARD_FOLDER, RewardHead
from tests.fixtures.preference_batches import first_loss, stage_batches, system_of
from tests.fixtures.preferences import make_pairs

if TYPE_CHECKING:
    from pathlib import Path


def test_values_by_hand() -> None:
    chosen, rejected = torch.tensor([1.0, 0.0]).double(), torch.tensor([-1.0, 0.5]).double()
    expected = [math.log1p(math.exp(-2.0)), math.log1p(math.exp(0.5)) + 0.1 * 0.25]
    torch.testing.assert_close(reward_pair_losses(chosen, rejected, 0.1), torch.tensor(expected, dtype=torch.float64))
    inputs = (chosen.requires_grad_(), rejected.requires_grad_())
    assert torch.autograd.gradcheck(lambda c, r: reward_pair_losses(c, r, 0.1), inputs)


def test_head_and_model_learn_and_the_head_is_kept(tmp_path: Path) -> None:
    batches = stage_batches(tmp_path, make_pairs(tmp_path, 2), [{"type": "reward_pairs"}], steps=1)
    loss, model = first_loss(batches), system_of(batches).model
    loss.begin(model, batches)
    total = loss.loss_sum(Forward(model, batches[0])) / loss.num_items(batches[0])
    margins = loss.figures["margin"] / loss.num_items(batches[0])
    assert float(total.detach()) >= math.log1p(math.exp(-float(margins))) - 1e-6  # Jensen
    total.backward()
    weight = loss.parameters["weight"]
    assert weight.grad is not None
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in model.model.connector.parameters())
    loss.end()
    assert torch.equal(RewardHead.load(tmp_path / REWARD_FOLDER).weight, weight)
