"""Low-rank adapters."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from geoprose.core.spec import Spec


class LoraSpec(Spec):
    """Low-rank adapters (arXiv:2106.09685)."""

    kind: Literal["lora", "dora"] = "lora"
    """``dora``: the direction of the weights gets a low-rank update, their row norms train too (arXiv:2402.09353)."""
    rank: PositiveInt = 16
    alpha: PositiveFloat = 32.0
    """Scale of the update is alpha / rank."""
    dropout: NonNegativeFloat = 0.0
    init: Literal["kaiming", "normal"] = "kaiming"
    """Start of A: uniform as in the reference code (deviation sqrt(1/3n) for n inputs), or normal with sqrt(1/n)."""
    targets: tuple[str, ...] = ("q_proj", "v_proj", "o_proj", "down_proj")
    """Names of the linear layers that get adapters."""
    first_layer: NonNegativeInt = 0
    """Transformer layer, counted from 0, where the adapters begin. Where nothing below it trains either, as with a
    frozen connector, the layers below need no backward pass: a step costs less, and reaches less of the model."""
    within: str = "language_model"
    """Sub-module of the backbone whose layers are adapted."""
    quantise: Literal["none", "nf4", "int8"] = "none"
    """Round the linear layers of ``within`` while the stage trains (QLoRA, arXiv:2305.14314); needs bitsandbytes. The
    weights that the stage leaves are the rounded ones with the adapters: what was trained."""
    merge: bool = True
    """Add the adapters to the weights when the stage ends; false, for the last stage only, saves them in ``adapter/``
    beside the system, as PEFT reads them."""
