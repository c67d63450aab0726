"""Training an image tokenizer: quantisation against Janus, straight-through gradients, reconstruction."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from geoprose.core.errors import ConfigError
from geoprose.systems.build import build_system
from geoprose.training.forward import Forward
from geoprose.training.losses.base import LossContext
from geoprose.training.losses.vq import VqCommitmentLoss, find_tokenizer, quantise, straight_through_norm
from geoprose.training.specs.loss_generation import VqCommitmentLossSpec


def test_the_nearest_code_by_hand() -> None:
    z = torch.tensor([[[[1.0, 4.0]]]], requires_grad=True)  # one channel, two places
    codebook = torch.tensor([[0.0], [3.0]], requires_grad=True)
    found = quantise(z, codebook)
    assert found.codes.tolist() == [[[0, 1]]]
    assert found.straight.tolist() == [[[[0.0, 3.0]]]]
    assert float(found.codebook.detach()) == float(found.commitment.detach()) == 1.0
    (found.codebook + 0.25 * found.commitment).backward()
    assert codebook.grad.tolist() == [[-1.0], [-1.0]]
    assert z.grad.tolist() == [[[[0.25, 0.25]]]]


def test_the_gradient_goes_straight_through() -> None:
    z = torch.randn(2, 3, 2, 2, dtype=torch.float64, requires_grad=True)
    found = quantise(z, torch.randn(5, 3, dtype=torch.float64))
    weight = torch.randn_like(z)
    (straight_through_norm(found.straight) * weight).sum().backward()
    assert torch.allclose(z.grad, weight)
    assert torch.allclose(straight_through_norm(found.straight), F.normalize(found.straight, dim=1))


@pytest.fixture(scope="module")
def system() -> Any:
    return build_system("janus", scale="tiny", dtype=torch.float64)


def test_codes_and_loss_are_those_of_transformers(system: Any) -> None:
    tower: Any = find_tokenizer(system.model)
    z = torch.randn(2, tower.config.embed_dim, 4, 4, dtype=torch.float64)
    theirs, embedding_loss, codes = tower.quantize(z)
    found = quantise(z, tower.quantize.embedding.weight)
    assert torch.equal(found.codes.flatten(), codes)
    assert torch.allclose(found.straight, theirs)
    assert math.isclose(
        float((found.commitment + tower.quantize.beta * found.codebook).detach()), float(embedding_loss.detach())
    )


def test_what_is_painted_is_what_the_codes_decode_to(system: Any) -> None:
    tower: Any = find_tokenizer(system.model)
    spec = VqCommitmentLossSpec(beta=0.0, reconstruction_weight=1.0)
    loss = VqCommitmentLoss(spec, LossContext(system))
    batch = {"pixel_values": torch.randn(3, 3, 8, 8, dtype=torch.float64)}
    with torch.no_grad():
        value = float(loss.loss_sum(Forward(system.model, batch))) / loss.num_items(batch)
        codes = tower.encode(batch["pixel_values"], return_dict=True).image_tokens.reshape(3, -1)
        painted = tower.decode(codes)
        codebook = quantise(tower.quant_conv(tower.encoder(batch["pixel_values"])), tower.quantize.embedding.weight)
    assert math.isclose(value, float(F.l1_loss(painted, batch["pixel_values"]) + codebook.codebook), rel_tol=1e-9)


def test_every_weight_of_the_tokenizer_learns(system: Any) -> None:
    tower: Any = find_tokenizer(system.model).requires_grad_(True)
    loss = VqCommitmentLoss(VqCommitmentLossSpec(), LossContext(system))
    loss.loss_sum(Forward(system.model, {"pixel_values": torch.randn(2, 3, 8, 8, dtype=torch.float64)})).backward()
    still = [name for name, p in tower.named_parameters() if p.grad is None or not bool(p.grad.abs().sum() > 0)]
    assert still == []


def test_a_system_without_a_tokenizer_is_refused() -> None:
    with pytest.raises(ConfigError, match="janus"):
        VqCommitmentLoss(VqCommitmentLossSpec(), LossContext(build_system("demo", scale="tiny")))
