"""DPO and its kin, by hand and by their gradients."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import torch

from geoprose.core.errors import ConfigError
from geoprose.core.spec import validate
from geoprose.training.losses.dpo import dpo_losses, hinge_losses, ipo_losses, robust_dpo_losses
from geoprose.training.specs.loss_preference import DpoLossSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

CHOSEN = torch.tensor([0.0, 2.0, -1.0], dtype=torch.float64)
REJECTED = torch.tensor([0.0, -1.0, 3.0], dtype=torch.float64)


def _sigma(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_values_by_hand() -> None:
    expected = [math.log(2), -math.log(_sigma(0.5 * 3)), -math.log(_sigma(0.5 * -4))]
    torch.testing.assert_close(dpo_losses(CHOSEN, REJECTED, 0.5), torch.tensor(expected, dtype=torch.float64))
    assert ipo_losses(CHOSEN, REJECTED, 0.5).tolist() == [1.0, 4.0, 25.0]  # (d - 1)^2
    assert hinge_losses(CHOSEN, REJECTED, 0.5).tolist() == [1.0, 0.0, 3.0]


def test_smoothing_weighs_the_flipped_pair() -> None:
    smoothed = dpo_losses(CHOSEN, REJECTED, 0.5, 0.1)
    expected = 0.9 * dpo_losses(CHOSEN, REJECTED, 0.5) + 0.1 * dpo_losses(REJECTED, CHOSEN, 0.5)
    torch.testing.assert_close(smoothed, expected)


def test_the_robust_loss_is_unbiased_under_flips() -> None:
    flip = 0.2
    right, wrong = robust_dpo_losses(CHOSEN, REJECTED, 0.5, flip), robust_dpo_losses(REJECTED, CHOSEN, 0.5, flip)
    torch.testing.assert_close((1 - flip) * right + flip * wrong, dpo_losses(CHOSEN, REJECTED, 0.5))


@pytest.mark.parametrize(
    "loss",
    [
        lambda c, r: dpo_losses(c, r, 0.3, 0.1),
        lambda c, r: robust_dpo_losses(c, r, 0.3, 0.1),
        lambda c, r: ipo_losses(c, r, 0.3),
        lambda c, r: hinge_losses(c, r, 0.3),
    ],
)
def test_gradients(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    chosen, rejected = CHOSEN.clone().requires_grad_(), REJECTED.clone().requires_grad_()
    assert torch.autograd.gradcheck(loss, (chosen, rejected))
    loss(chosen, rejected).sum().backward()
    assert chosen.grad is not None
    assert float(chosen.grad[0]) < 0 < float(rejected.grad[0])  # an undecided pair is pulled apart


def test_smoothing_without_meaning_is_refused() -> None:
    with pytest.raises(ConfigError, match="label_smoothing"):
        validate(DpoLossSpec, {"kind": "ipo", "label_smoothing": 0.1}, "recipe")
