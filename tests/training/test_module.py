"""Model and losses as one module: names, and what gradient checkpointing may change."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from geoprose.training.forward import Forward
from geoprose.training.module import StageModule
from geoprose.training.run import run_recipe
from geoprose.training.session import enter_stage, leave_stage
from geoprose.training.specs.stage import StageSpec
from tests.fixtures.live_memory import PeakBytes
from tests.fixtures.systems import tiny_system
from tests.fixtures.training import stage, write_recipe, write_tiny_data

if TYPE_CHECKING:
    from pathlib import Path


class _Scaled:
    """A loss with a learnt scale whose name holds a dot."""

    needs_layers = False
    spec = SimpleNamespace(label="scaled")

    def __init__(self) -> None:
        self.parameters = {"part.scale": nn.Parameter(torch.tensor(3.0))}

    def loss_sum(self, forward: Any) -> torch.Tensor:
        return self.parameters["part.scale"] * forward.model.weight.sum()


def test_everything_that_trains_is_one_modules() -> None:
    model = nn.Linear(2, 1)
    model.bias.requires_grad_(False)
    module = StageModule(model, [_Scaled()])  # type: ignore[list-item]
    assert list(module.trained()) == ["weight", "loss.scaled.part.scale"]
    assert len(list(module.parameters())) == 3
    module({}).sum().backward()
    assert torch.equal(model.weight.grad, torch.full((1, 2), 3.0))
    torch.testing.assert_close(module.of_losses()["loss.scaled.part.scale"].grad, model.weight.detach().sum())


def test_a_loss_reads_the_parameters_that_the_module_holds_now() -> None:
    """Sharding puts other parameter objects into the module."""
    module = StageModule(nn.Linear(2, 1), [_Scaled()])  # type: ignore[list-item]
    module.loss[0].register_parameter("0", nn.Parameter(torch.tensor(0.0)))
    assert float(module({}).sum().detach()) == 0.0


def test_the_pass_of_a_card_is_made_in_half_precision_and_the_loss_is_not() -> None:
    """Forced on the processor: products in bfloat16, weights, states for the head and gradients in float32."""
    model = tiny_system("demo").model.float().train()
    batch = {"input_ids": torch.arange(10, 30)[None], "attention_mask": torch.ones(1, 20, dtype=torch.long)}
    results = []
    for dtype in (None, torch.bfloat16):
        model.training_pass_dtype = dtype
        seen: list[torch.dtype] = []
        layer = model.model.language_model.layers[0].mlp.up_proj
        hook = layer.register_forward_hook(lambda module, inputs, output, seen=seen: seen.append(output.dtype))
        hidden = Forward(model, batch).hidden
        hook.remove()
        assert hidden.dtype == torch.float32
        assert seen == [dtype or torch.float32]
        (gradient,) = torch.autograd.grad(model.lm_head(hidden).square().mean(), layer.weight)
        assert gradient.dtype == torch.float32
        results.append(gradient)
    difference = (results[1] - results[0]).norm() / results[0].norm()
    assert 0 < difference < 0.03  # eight bits of mantissa


def test_gradient_checkpointing_trains_the_same_weights(tmp_path: Path) -> None:
    ends = []
    for checkpointing in (False, True):
        folder = tmp_path / str(checkpointing)
        write_tiny_data(folder, 3)
        lora = {"rank": 2, "targets": ["q_proj"], "dropout": 0.2}
        values = stage(packing="shared_prefix", steps=3, lora=lora, gradient_checkpointing=checkpointing)
        run_recipe(write_recipe(folder, [values]), out_dir=folder / "run", data_dir=folder)
        ends.append(load_file(folder / "run" / "system" / "model.safetensors"))
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


@pytest.mark.parametrize("trainable", [["language_model.*"], ["connector.*"]])
def test_gradient_checkpointing_saves_memory(trainable: list[str]) -> None:
    peaks = []
    for checkpointing in (False, True):
        spec = StageSpec.model_validate(stage(trainable=trainable, gradient_checkpointing=checkpointing))
        model = tiny_system("demo").model
        enter_stage(model, spec, 0)
        model.train()
        embeddings = torch.zeros(2, 64, 32, requires_grad=True)
        with PeakBytes() as memory:
            model.model.language_model(inputs_embeds=embeddings, use_cache=False).last_hidden_state.sum().backward()
        peaks.append(memory.peak)
        leave_stage(model, spec)
        assert not model.is_activation_checkpointing
    assert peaks[1] < 0.8 * peaks[0]
