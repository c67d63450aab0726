"""Rates, optimiser and number formats of a stage."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, model_validator

from geoprose.core.spec import Spec

Precision = Literal["fp32", "bf16"]
StagePrecision = Literal["fp32", "bf16", "auto"]


class ScheduleSpec(Spec):
    """Learning-rate curve over the steps of the stage."""

    kind: Literal["constant", "linear", "cosine", "inverse_sqrt"] = "cosine"
    """``inverse_sqrt``: sqrt(warmup / (t + 1)) after the warm-up (arXiv:1706.03762, equation 3)."""
    warmup_steps: NonNegativeInt = 0
    """Step t (from 0) runs at min(1, (t + 1) / warmup_steps) of the curve."""
    warmup_fraction: NonNegativeFloat = Field(default=0.0, lt=1.0)
    """Instead of ``warmup_steps``: share of the stage's steps, rounded up."""
    curve: Literal["all_steps", "after_warmup"] = "all_steps"
    """Steps that the fall of ``linear`` and ``cosine`` spans: all, or those after the warm-up (transformers)."""
    final_fraction: NonNegativeFloat = 0.0
    """Share of the rate that is left at the end."""

    @model_validator(mode="after")
    def _check(self) -> ScheduleSpec:
        if self.warmup_steps and self.warmup_fraction:
            raise ValueError("give warmup_steps or warmup_fraction, not both")
        return self

    def num_warmup(self, num_steps: int) -> int:
        """Return the steps of the warm-up of a stage of ``num_steps``."""
        return self.warmup_steps or math.ceil(self.warmup_fraction * num_steps)


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
