"""Add low-rank adapters to a part of the model and merge them back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from geoprose.core.errors import ConfigError
from geoprose.core.registry import unknown_name_message

if TYPE_CHECKING:
    from geoprose.training.specs.lora import LoraSpec


def add_lora(model: Any, spec: LoraSpec, seed: int) -> int:
    """Put adapters into ``model.model.<within>`` in place; return how many layers got one.

    The adapters' own random start comes from ``seed`` and leaves the global generator as it was.

    Raises:
        ConfigError: If a target names no linear layer of the part.
    """
    from peft import LoraConfig, inject_adapter_in_model

    part = model.model.get_submodule(spec.within)
    linear_names = {name.rsplit(".", 1)[-1] for name, module in part.named_modules() if isinstance(module, nn.Linear)}
    for target in spec.targets:
        if target not in linear_names:
            raise ConfigError(unknown_name_message(f"LoRA target in {spec.within}", target, linear_names))
    config = LoraConfig(
        r=spec.rank, lora_alpha=spec.alpha, lora_dropout=spec.dropout, target_modules=list(spec.targets), bias="none"
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inject_adapter_in_model(config, part)
        if spec.init == "normal":
            for _, layer in _adapted_layers(part):
                matrix = layer.lora_A["default"].weight
                nn.init.normal_(matrix, std=matrix.shape[1] ** -0.5)
    for name, parameter in part.named_parameters():
        if ".lora_" in name:
            parameter.data = parameter.data.float()
    return len(_adapted_layers(part))


def merge_lora(model: nn.Module) -> int:
    """Add each adapter to its layer's weight and take the adapter out; return how many layers were merged.

    The sum is made and kept in float32, so merging rounds nothing away.
    """
    layers = _adapted_layers(model)
    for name, layer in layers:
        base = layer.get_base_layer()
        update = layer.get_delta_weight("default").float()
        base.weight.data = base.weight.data.float() + update
        if base.bias is not None:
            base.bias.data = base.bias.data.float()
        parent_name, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(parent_name), attribute, base)
    _forget_peft(model)
    return len(layers)


def _forget_peft(model: nn.Module) -> None:
    for module in model.modules():
        if hasattr(module, "peft_config"):
            del module.peft_config


def _adapted_layers(model: nn.Module) -> list[tuple[str, Any]]:
    from peft.tuners.lora import LoraLayer

    return [(name, module) for name, module in model.named_modules() if isinstance(module, LoraLayer)]
