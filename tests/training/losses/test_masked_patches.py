"""Hidden patches: which, how the error is counted, and that nothing of them reaches the encoder."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from geoprose.core.errors import ConfigError
from geoprose.systems.build import build_system
from geoprose.training.forward import Forward
from geoprose.training.losses.base import LossContext
from geoprose.training.losses.masked_patches import MaskedPatchesLoss, hide_blocks, painting_loss_sum
from geoprose.training.specs.loss_generation import MaskedPatchesLossSpec


def test_blocks_are_whole_as_many_in_each_picture_and_keyed() -> None:
    hidden = hide_blocks((1, 2), 5, 8, 2, 0.6)
    blocks = hidden.reshape(5, 4, 2, 4, 2)
    assert torch.equal(blocks.amin((2, 4)), blocks.amax((2, 4)))
    assert hidden.sum((1, 2)).tolist() == [40] * 5  # 10 of 16 blocks
    assert torch.equal(hidden, hide_blocks((1, 2), 5, 8, 2, 0.6))
    assert not torch.equal(hidden, hide_blocks((1, 3), 5, 8, 2, 0.6))
    assert not torch.equal(hidden[0], hidden[1])


def test_only_hidden_patches_count_by_hand() -> None:
    pixels, painted = torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)
    painted[:, :, :2, :2] = 3.0  # patch (0, 0)
    painted[:, 0, :2, 2:] = 3.0  # patch (0, 1), one channel of three
    painted[:, :, 2:] = 50.0
    hidden = torch.tensor([[[True, True], [False, False]]])
    assert math.isclose(float(painting_loss_sum(painted, pixels, hidden)), 3.0 + 1.0, rel_tol=1e-6)


@pytest.mark.parametrize("name", ["vit-bert", "siglip-so400m", "demo"])
def test_the_hidden_pixels_reach_only_the_target(name: str) -> None:
    system: Any = build_system(name, scale="tiny", dtype=torch.float64)
    loss = MaskedPatchesLoss(MaskedPatchesLossSpec(mask_ratio=0.5), LossContext(system))
    for parameter in loss.parameters.values():
        parameter.data = parameter.data.double()
    side = loss.grid * loss.side
    pixels = torch.randn(2, 3, side, side, dtype=torch.float64, requires_grad=True)
    forward = Forward(system.model, {"pixel_values": pixels, "number": torch.tensor(4)})
    value = loss.loss_sum(forward)
    value.backward()
    assert loss.num_items(forward.batch) == 2 * math.ceil(loss.grid**2 / 2)
    hidden = hide_blocks((0, 4), 2, loss.grid, 1, 0.5)
    hidden = hidden.repeat_interleave(loss.side, 1).repeat_interleave(loss.side, 2)[:, None].expand_as(pixels)
    # Of a hidden pixel only the target's sign is felt, 1 / (C s s); a visible pixel acts through the encoder alone.
    unit = 1 / (3 * loss.side**2)
    assert torch.allclose(pixels.grad[hidden].abs(), torch.full_like(pixels.grad[hidden], unit))
    assert bool((pixels.grad[~hidden].abs() > 0).any())
    assert all(parameter.grad is not None and bool(parameter.grad.any()) for parameter in loss.parameters.values())


def test_an_encoder_without_a_grid_is_refused() -> None:
    with pytest.raises(ConfigError, match="square grid"):
        MaskedPatchesLoss(MaskedPatchesLossSpec(), LossContext(build_system("imagebind-llm", scale="tiny")))
    with pytest.raises(ConfigError, match="multiple of block"):
        MaskedPatchesLoss(MaskedPatchesLossSpec(block=3), LossContext(build_system("demo", scale="tiny")))
