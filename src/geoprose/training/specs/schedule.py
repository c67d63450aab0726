"""Rates, optimiser and number formats of a stage."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat

from geoprose.core.spec import Spec

Precision = Literal["fp32", "bf16"]
StagePrecision = Literal["fp32", "bf16", "auto"]


class ScheduleSpec(Spec):
    """Learning-rate curve over the steps of the stage."""

    kind: Literal["constant", "linear", "cosine"] = "cosine"
    warmup_steps: NonNegativeInt = 0
    """Step t (from 0) runs at min(1, (t + 1) / warmup_steps) of the curve, which spans all steps."""
    final_fraction: NonNegativeFloat = 0.0
    """Share of the rate that is left at the end."""


class OptimiserSpec(Spec):
    """AdamW (arXiv:1711.05101)."""

    beta1: NonNegativeFloat = 0.9
    beta2: NonNegativeFloat = 0.999
    epsilon: PositiveFloat = 1e-8
    weight_decay: NonNegativeFloat = 0.0
    """Applied to what ``decay`` says."""
    decay: Literal["matrices", "all"] = "matrices"
    max_grad_norm: NonNegativeFloat = 1.0
    """Global norm that gradients are clipped to; 0 turns clipping off."""
