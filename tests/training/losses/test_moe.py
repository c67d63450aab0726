"""The balance of experts against transformers, and where routers are found."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from transformers import MixtralConfig, MixtralForCausalLM
from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func
from transformers.models.qwen2_moe import modeling_qwen2_moe

from geoprose.core.errors import ConfigError
from geoprose.data.collator import block_mask
from geoprose.models.parts.fusions.modality_moe import load_balance, record_gates
from geoprose.systems.build import build_system
from geoprose.systems.presets import load_preset
from geoprose.training.forward import Forward
from geoprose.training.losses.base import LossContext
from geoprose.training.losses.moe import MoeBalanceLoss, counted_tokens, find_routers, moe_balance
from geoprose.training.specs.loss_generation import MoeBalanceLossSpec

SOFT = "fusion={type: modality_moe, routing: soft, num_experts: 2, top_k: 2}"


@pytest.mark.parametrize("reference", [load_balancing_loss_func, modeling_qwen2_moe.load_balancing_loss_func])
@pytest.mark.parametrize("top_k", [1, 2])
def test_the_balance_is_that_of_transformers(reference: Any, top_k: int) -> None:
    generator = torch.Generator().manual_seed(0)
    layers = tuple(torch.randn(10, 4, generator=generator, dtype=torch.float64) for _ in range(3))
    mask = torch.tensor([[1, 1, 1, 1, 0], [1, 1, 1, 0, 0]])
    whole, masked = reference(layers, 4, top_k), reference(layers, 4, top_k, mask)
    assert math.isclose(float(moe_balance(layers, top_k)), float(whole), rel_tol=1e-6)
    assert math.isclose(float(moe_balance(layers, top_k, mask.flatten().bool())), float(masked), rel_tol=1e-6)
    assert abs(float(whole) - float(masked)) > 1e-4


def test_by_hand() -> None:
    # Two tokens, two experts, probabilities (3/4, 1/4) and (1/2, 1/2) + a hair: both choose expert 0.
    logits = torch.tensor([[math.log(3.0), 0.0], [1e-9, 0.0]], dtype=torch.float64)
    assert math.isclose(float(moe_balance([logits], 1)), 2 * 1.0 * 0.625, rel_tol=1e-6)
    even = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    assert math.isclose(float(moe_balance([even], 1)), 1.0, rel_tol=1e-12)


def test_the_gradient_takes_from_the_busy_expert() -> None:
    logits = torch.tensor([[2.0, 0.0], [1.0, 0.0]], requires_grad=True)
    moe_balance([logits], 1).backward()
    assert bool((logits.grad[:, 0] > 0).all() and (logits.grad[:, 1] < 0).all())


def test_padding_is_found_in_either_mask() -> None:
    plain = torch.tensor([[1, 1, 0]])
    assert counted_tokens(plain).tolist() == [[True, True, False]]
    packed = block_mask(torch.tensor([[0, 0, 1, 2, -1, -1]]))
    assert counted_tokens(packed).tolist() == [[True, True, True, True, False, False]]


@pytest.fixture(scope="module")
def system() -> Any:
    built = build_system(load_preset("llava-1.5", [SOFT]), scale="tiny", dtype=torch.float64)
    with torch.no_grad():
        for gate in built.model.model.fusion.gates:
            gate.weight.normal_(generator=torch.Generator().manual_seed(1))
    return built


def batch_of(system: Any) -> dict[str, Any]:
    ids = torch.randint(10, 200, (2, 7), generator=torch.Generator().manual_seed(2))
    mask = torch.ones_like(ids)
    mask[1, 5:] = 0
    return {"input_ids": ids, "attention_mask": mask, "position_ids": torch.arange(7).expand(2, -1)}


def test_the_gates_of_a_fusion(system: Any) -> None:
    loss, batch = MoeBalanceLoss(MoeBalanceLossSpec(), LossContext(system)), batch_of(system)
    assert loss.num_items(batch) == 12
    forward = Forward(system.model, batch)
    with record_gates() as records:
        _ = forward.hidden  # another loss ran the pass
    value = loss.loss_sum(forward)
    keep = batch["attention_mask"].bool()
    one_by_one = [float(load_balance(record, keep).detach()) for record in records]
    assert len(one_by_one) == len(loss.routers) == 2
    assert 2 * min(one_by_one) - 0.2 < float(value.detach()) / 12 < 2 * max(one_by_one) + 0.2
    value.backward()
    assert all(bool(gate.weight.grad.abs().sum() > 0) for gate in system.model.model.fusion.gates)


def test_hooks_forget_when_the_loss_is_gone(system: Any) -> None:
    import gc
    import weakref

    loss = MoeBalanceLoss(MoeBalanceLossSpec(), LossContext(system))
    kept = weakref.ref(loss._logits)
    del loss
    gc.collect()
    assert kept() is None
    assert torch.isfinite(Forward(system.model, batch_of(system)).hidden).all()


def test_the_routers_of_a_language_model() -> None:
    config = MixtralConfig(
        vocab_size=60, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, num_local_experts=4, num_experts_per_tok=2,
    )  # fmt: skip
    torch.manual_seed(0)
    mixtral = MixtralForCausalLM(config).eval()

    class Body(torch.nn.Module):
        fusion = None
        language_model = mixtral.model

    class Composite(torch.nn.Module):
        model = Body()

    routers = find_routers(Composite())
    assert [(router.index, router.top_k) for router in routers] == [(0, 2), (0, 2)]
    ids = torch.randint(0, 60, (2, 5))
    heard: list[torch.Tensor] = []
    for router in routers:
        router.module.register_forward_hook(lambda m, i, o: heard.append(o[0]))
    output = mixtral(ids, output_router_logits=True, attention_mask=torch.ones_like(ids))
    assert math.isclose(float(moe_balance(heard, 2).detach()), float(output.aux_loss.detach()), rel_tol=1e-6)


def test_a_system_without_experts_is_refused() -> None:
    with pytest.raises(ConfigError, match="routing: soft"):
        MoeBalanceLoss(MoeBalanceLossSpec(), LossContext(build_system("demo", scale="tiny")))
