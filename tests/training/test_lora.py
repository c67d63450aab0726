"""Adapters go in, train, and melt into the weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from geoprose.core.errors import ConfigError
from geoprose.systems.build import build_system
from geoprose.training.lora import add_lora, merge_lora
from geoprose.training.specs.lora import LoraSpec

SPEC = LoraSpec(rank=2, alpha=8.0, targets=("q_proj", "down_proj"))


@pytest.fixture
def model() -> Any:
    return build_system("demo", scale="tiny").model


def _logits(model: Any) -> torch.Tensor:
    ids = torch.arange(10, 20)[None]
    with torch.no_grad():
        logits: torch.Tensor = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits
    return logits


def test_adapters_start_silent_and_merge_exactly(model: Any) -> None:
    keys = set(model.state_dict())
    before = _logits(model)
    assert add_lora(model, SPEC, seed=1) == 4  # two layers, two targets
    assert torch.equal(_logits(model), before)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.1)
    trained = _logits(model)
    assert not torch.allclose(trained, before, atol=1e-3)
    assert merge_lora(model) == 4
    # Two float32 orders of the same sum.
    torch.testing.assert_close(_logits(model), trained, rtol=1e-4, atol=1e-4)
    assert set(model.state_dict()) == keys
    assert merge_lora(model) == 0


def test_the_start_depends_on_the_seed_only(model: Any) -> None:
    torch.manual_seed(5)
    state = torch.random.get_rng_state()
    add_lora(model, SPEC, seed=1)
    assert torch.equal(torch.random.get_rng_state(), state)
    other = build_system("demo", scale="tiny").model
    torch.manual_seed(6)
    add_lora(other, SPEC, seed=1)
    ours, theirs = model.state_dict(), other.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_normal_start_has_its_deviation(model: Any) -> None:
    add_lora(model, LoraSpec(rank=16, init="normal", targets=("q_proj",)), seed=1)
    matrix = next(parameter for name, parameter in model.named_parameters() if "lora_A" in name)
    assert float(matrix.detach().std()) == pytest.approx(matrix.shape[1] ** -0.5, rel=0.15)  # 512 draws


def test_an_unknown_target_is_refused(model: Any) -> None:
    with pytest.raises(ConfigError, match=r"q_prj.*q_proj"):
        add_lora(model, LoraSpec(targets=("q_prj",)), seed=0)
