"""Low-rank adapters."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from geoprose.core.spec import Spec


class LoraSpec(Spec):
    """Low-rank adapters, merged into the weights when the stage ends (arXiv:2106.09685)."""

    rank: PositiveInt = 16
    alpha: PositiveFloat = 32.0
    """Scale of the update is alpha / rank."""
    dropout: NonNegativeFloat = 0.0
    init: Literal["kaiming", "normal"] = "kaiming"
    """Start of A: uniform as in the reference code (deviation sqrt(1/3n) for n inputs), or normal with sqrt(1/n)."""
    targets: tuple[str, ...] = ("q_proj", "v_proj", "o_proj", "down_proj")
    """Names of the linear layers that get adapters."""
    within: str = "language_model"
    """Sub-module of the backbone whose layers are adapted."""
