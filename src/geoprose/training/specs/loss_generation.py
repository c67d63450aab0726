"""Losses on what a system makes: pictures by codes or signals, experts in balance, pictures filled in."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveInt

from geoprose.training.specs.loss_base import BaseLossSpec


class MoeBalanceLossSpec(BaseLossSpec):
    """Even use of experts: of the ``modality_moe`` fusion with soft routing, or of the language model's own."""

    type: Literal["moe_balance"] = "moe_balance"


class SignalMseLossSpec(BaseLossSpec):
    """What the signal tokens of an answer ask a generator for, against its text encoder's view of the caption."""

    type: Literal["signal_mse"] = "signal_mse"
    signal: str = "image"
    """Name of the head (``signals`` of the system). ``meta["signals"]`` of a sample holds the targets: {signal: [path,
    ...]}, ``.npy`` arrays (vectors, width) relative to the records file, one per request in the answers."""
    kind: Literal["mse", "distance"] = "mse"
    """``mse``: mean squared error, as the paper says; ``distance``: mean Euclidean distance, as its code computes."""

    @property
    def label(self) -> str:
        """Name in logs and checkpoints."""
        return f"{self.type}_{self.signal}"


class VqCommitmentLossSpec(BaseLossSpec):
    """Train an image tokenizer: reconstruction, codebook and commitment.

    The perceptual and adversarial terms of VQGAN are left out: both need further pretrained or trained networks, so
    reconstructions stay softer than published ones.
    """

    type: Literal["vq_commitment"] = "vq_commitment"
    beta: NonNegativeFloat = 0.25
    """Weight of the commitment term."""
    reconstruction_weight: NonNegativeFloat = 1.0
    """Weight of the mean absolute error of the pixels."""


class MaskedPatchesLossSpec(BaseLossSpec):
    """Self-supervision of a vision encoder: paint hidden patches from the visible ones (SimMIM)."""

    type: Literal["masked_patches"] = "masked_patches"
    mask_ratio: float = Field(default=0.6, gt=0.0, lt=1.0)
    """Share of the blocks that is hidden."""
    block: PositiveInt = 1
    """Side of a hidden block in patches; the paper hides squares of 32 pixels, 2 patches of a ViT/16."""


GenerationLossSpec = MoeBalanceLossSpec | SignalMseLossSpec | VqCommitmentLossSpec | MaskedPatchesLossSpec
