"""Losses on preferences between answers. Records: docs/reference/file-formats.md, "Preferences"."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from geoprose.training.specs.loss_base import BaseLossSpec


class DpoLossSpec(BaseLossSpec):
    """Direct preference optimisation (arXiv:2305.18290) and its kin."""

    type: Literal["dpo"] = "dpo"
    beta: PositiveFloat = 0.1
    """How closely the policy is held to the reference; IPO's tau."""
    kind: Literal["sigmoid", "robust", "ipo", "hinge"] = "sigmoid"
    """``sigmoid``: the paper's; ``robust``: unbiased under flipped labels (arXiv:2403.00409); ``ipo``: a squared
    distance on means over tokens (arXiv:2310.12036); ``hinge``: SLiC (arXiv:2305.10425)."""
    label_smoothing: NonNegativeFloat = Field(default=0.0, lt=0.5)
    """Share of pairs thought to be the wrong way round (``sigmoid`` and ``robust``)."""

    @model_validator(mode="after")
    def _check(self) -> DpoLossSpec:
        if self.label_smoothing and self.kind not in ("sigmoid", "robust"):
            raise ValueError(f"label_smoothing has no meaning for kind {self.kind}")
        return self


class MpoLossSpec(BaseLossSpec):
    """Mixed preference optimisation (arXiv:2411.10442): which is better, how good each is, and how to say it."""

    type: Literal["mpo"] = "mpo"
    beta: PositiveFloat = 0.1
    """How closely the policy is held to the reference."""
    preference_weight: NonNegativeFloat = 0.8
    """Of the DPO term, a mean over pairs."""
    quality_weight: NonNegativeFloat = 0.2
    """Of the BCO term, a mean over pairs."""
    generation_weight: NonNegativeFloat = 1.0
    """Of the cross-entropy of the preferred answers, a mean over tokens."""
    reward_shift: Literal["running", "before_step", "none"] = "running"
    """What BCO subtracts from the rewards. ``running``: the mean of all micro-batches so far, this one included, as
    InternVL's release does; ``before_step``: the same without the current step, so that accumulation changes nothing;
    ``none``: nothing, as TRL 1.16's ``bco_pair``."""


class KtoLossSpec(BaseLossSpec):
    """Kahneman-Tversky optimisation (arXiv:2402.01306): answers judged one by one; a pair counts as two."""

    type: Literal["kto"] = "kto"
    beta: PositiveFloat = 0.1
    """How closely the policy is held to the reference."""
    desirable_weight: PositiveFloat = 1.0
    """Of good answers; ``desirable_weight * n_good`` should be 1 to 4/3 of ``undesirable_weight * n_bad``."""
    undesirable_weight: PositiveFloat = 1.0
    """Of bad answers."""


class RewardPairsSpec(BaseLossSpec):
    """Train a reward head on pairs (Bradley and Terry); the head is saved beside the system."""

    type: Literal["reward_pairs"] = "reward_pairs"
    centre_weight: NonNegativeFloat = 0.0
    """Of the squared sum of both rewards, which keeps their mean at zero (arXiv:2312.09244)."""
