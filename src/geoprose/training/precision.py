"""Number formats of a stage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch

from geoprose.training.specs.recipe import RecipeSpec

if TYPE_CHECKING:
    from torch import nn

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
_CAST = (torch.float32, torch.float16, torch.bfloat16)  # rounded weights (QLoRA) are integers; float64 is for proofs
_ENCODER_PREFIXES = ("model.vision_encoder.", "vision.")


def has_fast_bf16() -> bool:
    """Tell whether this machine multiplies bfloat16 in hardware; without it bf16 is several times slower than fp32."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def resolve_precision(recipe: RecipeSpec) -> RecipeSpec:
    """Replace ``auto`` by what suits this machine."""
    chosen = "bf16" if has_fast_bf16() else "fp32"
    values = recipe.model_dump(mode="json")
    for group in (*values["stages"], values["features"]):
        for key in ("precision", "encoder_precision"):
            if group.get(key) == "auto":
                group[key] = chosen
    return RecipeSpec.model_validate(values)


def pass_dtype(model: Any) -> torch.dtype | None:
    """Return what the products of the training pass are made in (autocast), or None for the weights' own format."""
    dtype: torch.dtype | None = getattr(model, "training_pass_dtype", None)
    return dtype


def apply_precision(model: Any, precision: Literal["fp32", "bf16", "auto"]) -> None:
    """Cast what is frozen to ``precision`` and what trains to float32; on a card, ``bf16`` also multiplies in bfloat16.

    A wholly frozen vision encoder is left alone: it does not run, its cached features stand for it. Rounding is
    cumulative on purpose: a float32 stage after a bf16 stage trains on the rounded weights, so that a resumed run,
    which replays the stages in order, holds the same numbers as the uninterrupted one. Float64 is left alone.
    """
    named = list(model.named_parameters())
    encoder_runs = any(p.requires_grad for name, p in named if name.startswith(_ENCODER_PREFIXES))
    for name, parameter in named:
        if parameter.dtype not in _CAST or (name.startswith(_ENCODER_PREFIXES) and not encoder_runs):
            continue
        parameter.data = parameter.data.to(torch.float32 if parameter.requires_grad else DTYPES[precision])
    # Why not on processors: few multiply bfloat16 faster, and what trains in float32 there stays exact.
    on_card = any(parameter.is_cuda for _, parameter in named)
    model.training_pass_dtype = torch.bfloat16 if precision == "bf16" and on_card else None


def set_dtype(model: nn.Module, precision: Literal["fp32", "bf16"]) -> None:
    """Cast every parameter, e.g. before the system is saved."""
    for parameter in model.parameters():
        parameter.data = parameter.data.to(DTYPES[precision])
