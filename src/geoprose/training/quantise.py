"""Frozen linear layers in four or eight bits, so that adapters train on a base that fits the card (QLoRA)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from torch import Tensor, nn

from geoprose.core.errors import ResourceError

if TYPE_CHECKING:
    from collections.abc import Callable


def quantise(part: nn.Module, kind: Literal["nf4", "int8"]) -> int:
    """Round the weights of all linear layers of ``part`` in place; return how many layers.

    ``nf4`` is blocks of 64 in the four-bit NormalFloat with double-quantised scales, ``int8`` is LLM.int8().

    Raises:
        ResourceError: If bitsandbytes is not installed.

    Source:
        QLoRA (arXiv:2305.14314, sections 3 and 2); LLM.int8() (arXiv:2208.07339); library bitsandbytes.
    """
    try:
        import bitsandbytes
    except ImportError as error:
        raise ResourceError(
            f"lora.quantise: {kind} needs the package bitsandbytes. Install geoprose[quantise], or set quantise: none."
        ) from error
    make: Callable[[Any, nn.Linear], nn.Module] = _nf4 if kind == "nf4" else _int8
    layers = [(name, layer) for name, layer in part.named_modules() if type(layer) is nn.Linear]
    for name, layer in layers:
        _replace(part, name, make(bitsandbytes, layer))
    return len(layers)


def restore(model: nn.Module) -> int:
    """Give every rounded layer plain float32 weights, which hold the rounded values; return how many layers."""
    layers = [(name, layer) for name, layer in model.named_modules() if _is_rounded(layer)]
    for name, layer in layers:
        weight = _plain_weight(layer)
        plain = nn.Linear(weight.shape[1], weight.shape[0], bias=layer.bias is not None, device="meta")
        plain.weight = nn.Parameter(weight, requires_grad=False)
        if layer.bias is not None:
            plain.bias = nn.Parameter(layer.bias.detach().float(), requires_grad=False)
        _replace(model, name, plain)
    return len(layers)


def _nf4(library: Any, layer: nn.Linear) -> nn.Module:
    rounded: nn.Module = library.nn.Linear4bit(
        layer.in_features, layer.out_features, bias=layer.bias is not None, quant_type="nf4", device="meta"
    )
    weight = layer.weight.data
    rounded.weight = library.nn.Params4bit(weight, requires_grad=False, quant_type="nf4", module=rounded)
    rounded.bias = layer.bias
    return rounded.to(weight.device)


def _int8(library: Any, layer: nn.Linear) -> nn.Module:
    rounded: nn.Module = library.nn.Linear8bitLt(
        layer.in_features, layer.out_features, bias=layer.bias is not None, has_fp16_weights=False, device="meta"
    )
    weight = layer.weight.data
    rounded.weight = library.nn.Int8Params(weight, requires_grad=False, has_fp16_weights=False)
    rounded.bias = layer.bias
    return rounded.to(weight.device)


def _plain_weight(layer: Any) -> Tensor:
    from peft.utils.integrations import dequantize_bnb_weight

    # An eight-bit layer keeps its scales in its own state once it has run.
    weight: Tensor = dequantize_bnb_weight(layer.weight, state=getattr(layer, "state", None))
    return weight.detach().float()


def _is_rounded(layer: nn.Module) -> bool:
    # Why not layer.weight: an adapter shows the weight of the layer that it wraps as its own.
    return type(layer._parameters.get("weight")).__name__ in {"Params4bit", "Int8Params"}


def _replace(root: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, attribute = name.rpartition(".")
    setattr(root.get_submodule(parent), attribute, layer)
