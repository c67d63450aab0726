"""Adapters go in, train, and melt into the weights."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import torch

from geoprose.core.errors import ConfigError, ResourceError
from geoprose.systems.build import build_system
from geoprose.training.lora import add_lora, merge_lora, save_adapter
from geoprose.training.specs.lora import LoraSpec

if TYPE_CHECKING:
    from pathlib import Path

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


def _train_a_little(model: Any) -> None:
    random = torch.Generator().manual_seed(4)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.1, generator=random)
        elif "lora_magnitude" in name:
            parameter.data.mul_(1.0 + 0.2 * torch.rand(parameter.shape, generator=random))


def test_dora_starts_silent_and_merges_exactly(model: Any) -> None:
    before = _logits(model)
    add_lora(model, SPEC.model_copy(update={"kind": "dora"}), seed=1)
    torch.testing.assert_close(_logits(model), before, rtol=1e-5, atol=1e-5)
    _train_a_little(model)
    trained = _logits(model)
    layer = model.model.language_model.layers[0].self_attn.q_proj
    update = layer.get_base_layer().weight + 4.0 * layer.lora_B["default"].weight @ layer.lora_A["default"].weight
    magnitude = layer.lora_magnitude_vector["default"].weight
    by_hand = magnitude[:, None] * update / update.norm(dim=1, keepdim=True)
    assert merge_lora(model) == 4
    merged = model.model.language_model.layers[0].self_attn.q_proj
    torch.testing.assert_close(merged.weight, by_hand.detach(), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(_logits(model), trained, rtol=1e-4, atol=1e-4)
    plain = build_system("demo", scale="tiny").model
    add_lora(plain, SPEC, seed=1)
    assert not any("magnitude" in name for name, _ in plain.named_parameters())


@pytest.mark.parametrize("kind", ["nf4", "int8"])
@pytest.mark.filterwarnings("ignore:MatMul8bitLt")
def test_a_rounded_base_trains_adapters_and_becomes_plain_again(model: Any, kind: str) -> None:
    pytest.importorskip("bitsandbytes")
    from geoprose.training.freeze import apply_freeze_plan
    from geoprose.training.precision import apply_precision

    exact = model.model.language_model.layers[0].mlp.up_proj.weight.detach().clone()
    spec = LoraSpec.model_validate({**SPEC.model_dump(), "quantise": kind})
    add_lora(model, spec, seed=1)
    report = apply_freeze_plan(model, [])
    apply_precision(model, "fp32")
    assert all(".lora_" in name for name in report.names)
    rounded = model.model.language_model.layers[0].mlp.up_proj.weight
    assert rounded.dtype in {torch.uint8, torch.int8}
    assert rounded.numel() * rounded.element_size() <= exact.numel() * (0.5 if kind == "nf4" else 1)
    ids = torch.arange(10, 20)[None]
    model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits.square().mean().backward()
    gradients = [parameter.grad for name, parameter in model.named_parameters() if "lora_B" in name]
    assert all(gradient is not None and gradient.abs().max() > 0 for gradient in gradients)
    _train_a_little(model)
    trained = _logits(model)
    assert merge_lora(model) == 4
    # int8 also rounds the inputs of a layer, which the plain layer afterwards does not.
    torch.testing.assert_close(_logits(model), trained, rtol=1e-3, atol=1e-3 if kind == "nf4" else 0.05)
    plain = model.model.language_model.layers[0].mlp.up_proj.weight
    assert plain.dtype == torch.float32
    step = exact.abs().max() * (0.16 if kind == "nf4" else 0.005)  # half the widest gap of the code
    assert 0 < (plain - exact).abs().max() <= step


def test_without_bitsandbytes_the_way_out_is_said(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(ResourceError, match=r"geoprose\[quantise\]"):
        add_lora(model, SPEC.model_copy(update={"quantise": "nf4"}), seed=1)


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_adapters_beside_the_weights_are_read_back(model: Any, tmp_path: Path, kind: str) -> None:
    spec = SPEC.model_copy(update={"kind": kind})
    add_lora(model, spec, seed=1)
    _train_a_little(model)
    save_adapter(model, spec, tmp_path / "adapter")
    torch.testing.assert_close(_logits(_read_back(tmp_path / "adapter")), _logits(model), rtol=1e-5, atol=1e-5)


def _read_back(folder: Path) -> Any:
    from peft import PeftModel

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # peft warns about keys that are missing
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)  # peft asks by the old name
        return PeftModel.from_pretrained(build_system("demo", scale="tiny").model, str(folder))


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


def _leaves_a_graph(model: Any, name: str) -> bool:
    """Return whether the output of a layer takes part in the backward pass."""
    seen: list[bool] = []
    model.get_submodule(name).register_forward_hook(lambda _module, _inputs, out: seen.append(out.requires_grad))
    ids = torch.arange(10, 20)[None]
    model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits.sum().backward()
    return seen[0]


@pytest.mark.parametrize("first_layer", [0, 1])
def test_layers_below_the_first_are_left_alone_and_cost_no_backward(
    model: Any, tmp_path: Path, first_layer: int
) -> None:
    from geoprose.training.freeze import apply_freeze_plan

    spec = SPEC.model_copy(update={"first_layer": first_layer})
    assert add_lora(model, spec, seed=1) == 2 * (2 - first_layer)
    apply_freeze_plan(model, [])
    adapted = {int(name.split("layers.")[1].split(".")[0]) for name, _ in model.named_parameters() if "lora_A" in name}
    assert adapted == set(range(first_layer, 2))
    assert _leaves_a_graph(model, "model.language_model.layers.0.self_attn.q_proj") == (first_layer == 0)
    _train_a_little(model)
    save_adapter(model, spec, tmp_path / "adapter")
    torch.testing.assert_close(_logits(_read_back(tmp_path / "adapter")), _logits(model), rtol=1e-5, atol=1e-5)


def test_a_first_layer_above_the_last_is_refused(model: Any) -> None:
    with pytest.raises(ConfigError, match=r"first_layer is 2.*language_model has 2 layers"):
        add_lora(model, SPEC.model_copy(update={"first_layer": 2}), seed=1)
