"""Losses on masks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from geoprose.training.specs.loss_base import BaseLossSpec


class SegmentationLossSpec(BaseLossSpec):
    """Cross-entropy and Dice of the class of every pixel; trains systems of kind ``dense`` on ``meta["mask"]``."""

    type: Literal["segmentation"] = "segmentation"
    dice_weight: float = Field(default=1.0, ge=0.0)
    """Weight of the Dice term beside cross-entropy; 0 leaves it out."""
    values: tuple[tuple[int, ...], ...] = ()
    """Values of the masks that belong to each class, in the order of the system's prompts; other pixels do not count.
    Empty: class k has value k. A mask of change with 0 and 255 is ``[[0], [255]]``."""
