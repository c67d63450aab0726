"""Add low-rank adapters to a part of the model and merge them back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from geoprose.core.errors import ConfigError
from geoprose.core.registry import unknown_name_message
from geoprose.training.checkpoints.checkpoint import write_tensors
from geoprose.training.quantise import quantise, restore

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.training.specs.lora import LoraSpec


def add_lora(model: Any, spec: LoraSpec, seed: int) -> int:
    """Put adapters into ``model.model.<within>`` in place; return how many layers got one.

    The adapters' own random start comes from ``seed`` and leaves the global generator as it was.

    Raises:
        ConfigError: If a target names no linear layer of the part, or the part ends below ``spec.first_layer``.
    """
    from peft import inject_adapter_in_model

    part = model.model.get_submodule(spec.within)
    linear_names = {name.rsplit(".", 1)[-1] for name, module in part.named_modules() if isinstance(module, nn.Linear)}
    for target in spec.targets:
        if target not in linear_names:
            raise ConfigError(unknown_name_message(f"LoRA target in {spec.within}", target, linear_names))
    pattern = _target_pattern(spec, part)
    if spec.quantise != "none":
        quantise(part, spec.quantise)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        inject_adapter_in_model(_config(spec, pattern), part)
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

    The sum is made and kept in float32, so merging rounds nothing away. Layers that were rounded become plain again.
    """
    restore(model)
    layers = _adapted_layers(model)
    for name, layer in layers:
        base = layer.get_base_layer()
        base.weight.data = _merged_weight(layer, base.weight.data.float())
        if base.bias is not None:
            base.bias.data = base.bias.data.float()
        parent_name, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(parent_name), attribute, base)
    _forget_peft(model)
    return len(layers)


def _merged_weight(layer: Any, weight_OI: Tensor) -> Tensor:
    """Return W + s B A, and for DoRA its rows scaled to the trained norms: m (W + s B A) / |W + s B A|."""
    updated_OI: Tensor = weight_OI + layer.get_delta_weight("default").float()
    if "default" not in layer.lora_magnitude_vector:
        return updated_OI
    magnitude_O = layer.lora_magnitude_vector["default"].weight.data.float()
    scaled_OI: Tensor = updated_OI * (magnitude_O / updated_OI.norm(dim=1)).unsqueeze(1)
    return scaled_OI


def save_adapter(model: Any, spec: LoraSpec, folder: Path) -> None:
    """Write the adapters of ``add_lora`` as ``PeftModel.from_pretrained`` reads them.

    Args:
        model: Composite with adapters.
        spec: What ``add_lora`` was given.
        folder: Folder to write.
    """
    folder.mkdir(parents=True)
    pattern = _target_pattern(spec, model.model.get_submodule(spec.within))
    _config(spec, rf"model\.{re.escape(spec.within)}\.{pattern}").save_pretrained(str(folder))
    tensors = {name: tensor for name, tensor in model.state_dict().items() if ".lora_" in name}
    # Contract: PEFT's files leave the name of the adapter out.
    short = {f"base_model.model.{name.replace('.default', '')}": tensor for name, tensor in tensors.items()}
    write_tensors(folder / "adapter_model.safetensors", short)


def _target_pattern(spec: LoraSpec, part: nn.Module) -> str:
    """Return the expression that the names of the adapted layers match whole, from ``part`` on."""
    names = "|".join(re.escape(name) for name in spec.targets)
    if spec.first_layer == 0:
        return rf"(.*\.)?({names})"
    found = (re.match(r"\D+\.(\d+)\.", name) for name, _ in part.named_modules())
    numbers = {int(one[1]) for one in found if one}
    chosen = sorted(number for number in numbers if number >= spec.first_layer)
    if not chosen:
        raise ConfigError(
            f"lora.first_layer is {spec.first_layer}, but {spec.within} has {len(numbers)} layers, counted from 0; "
            "give a smaller number."
        )
    return rf"\D+\.({'|'.join(map(str, chosen))})\.(.*\.)?({names})"


def _config(spec: LoraSpec, targets: str) -> Any:
    from peft import LoraConfig

    return LoraConfig(
        r=spec.rank,
        lora_alpha=spec.alpha,
        lora_dropout=spec.dropout,
        target_modules=targets,
        bias="none",
        use_dora=spec.kind == "dora",
    )


def _forget_peft(model: nn.Module) -> None:
    for module in model.modules():
        if hasattr(module, "peft_config"):
            del module.peft_config


def _adapted_layers(model: nn.Module) -> list[tuple[str, Any]]:
    from peft.tuners.lora import LoraLayer

    return [(name, module) for name, module in model.named_modules() if isinstance(module, LoraLayer)]
