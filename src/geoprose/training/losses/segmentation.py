"""The class of every pixel: cross-entropy and Dice of dense heads."""

# N places, L classes, H W pixels

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from geoprose.core.errors import ConfigError
from geoprose.models.dense.model import IGNORED
from geoprose.training.losses.base import Batch, Forward, LossContext, StageLoss

if TYPE_CHECKING:
    from collections.abc import Sequence

_SMOOTH = 1.0


def dice_loss_sum(logits_NLHW: Tensor, labels_NHW: Tensor) -> Tensor:
    """Return ``sum_n 1 - mean_l (2 <p_l, y_l> + 1) / (|p_l| + |y_l| + 1)`` over the classes of each labelled place.

    Args:
        logits_NLHW: Scores; ``p`` is their softmax.
        labels_NHW: Classes, 255 where a pixel does not count. Classes that a place lacks do not count either.

    Source:
        Soft Dice, V-Net, arXiv:1606.04797, equation 3, with sums in place of squares and add-one smoothing.
    """
    is_known_NHW = labels_NHW != IGNORED
    num_classes = logits_NLHW.shape[1]
    truth = F.one_hot(labels_NHW.masked_fill(~is_known_NHW, 0), num_classes).permute(0, 3, 1, 2)
    truth = truth * is_known_NHW[:, None]
    shares = logits_NLHW.softmax(1) * is_known_NHW[:, None]
    both_NL, sizes_NL = (truth * shares).sum((2, 3)), truth.sum((2, 3)) + shares.sum((2, 3))
    is_there_NL = truth.sum((2, 3)) > 0
    dice_NL = (2 * both_NL + _SMOOTH) / (sizes_NL + _SMOOTH)
    mean_N = (dice_NL * is_there_NL).sum(1) / is_there_NL.sum(1).clamp(min=1)
    return ((1 - mean_N) * is_there_NL.any(1)).sum()


def pixel_cross_entropy_sum(logits_NLHW: Tensor, labels_NHW: Tensor) -> Tensor:
    """Return the sum over places of the mean cross-entropy of their labelled pixels."""
    losses_NHW = F.cross_entropy(logits_NLHW, labels_NHW, ignore_index=IGNORED, reduction="none")
    counts_N = (labels_NHW != IGNORED).sum((1, 2)).clamp(min=1)
    return (losses_NHW.sum((1, 2)) / counts_N).sum()


def classes_of(mask_NHW: Tensor, values: Sequence[Sequence[int]], num_classes: int) -> Tensor:
    """Return the class of every pixel (N, H, W) by the mask's values; 255 where no class has the value.

    Args:
        mask_NHW: Values.
        values: Values of each class; empty: class k has value k.
        num_classes: L.
    """
    labels_NHW = torch.full_like(mask_NHW, IGNORED)
    for number, own in enumerate(values or [[number] for number in range(num_classes)]):
        labels_NHW[torch.isin(mask_NHW, torch.tensor(list(own), device=mask_NHW.device))] = number
    return labels_NHW


class SegmentationLoss(StageLoss):
    """Cross-entropy plus weighted Dice, one item a place that has a labelled pixel.

    Raises:
        ConfigError: If ``values`` names another number of classes than the head has.
    """

    feed = "masks"
    kinds = ("dense",)
    needs_text = False
    needs_pixels = True

    def __init__(self, spec: Any, context: LossContext) -> None:
        super().__init__(spec, context)
        head = context.system.spec.head
        self.num_classes = int(getattr(head, "num_classes", None) or len(context.system.spec.prompts))
        if spec.values and len(spec.values) != self.num_classes:
            raise ConfigError(
                f"Loss segmentation lists the values of {len(spec.values)} classes; the head of "
                f"{context.system.spec.name} has {self.num_classes}."
            )

    def _labels(self, batch: Batch) -> Tensor:
        return classes_of(batch["mask"], self.spec.values, self.num_classes)

    def num_items(self, batch: Batch) -> float:
        """Return the places with a labelled pixel."""
        return float((self._labels(batch) != IGNORED).flatten(1).any(1).sum())

    def loss_sum(self, forward: Forward) -> Tensor:
        """Return the sum over places."""
        batch, labels_NHW = forward.batch, self._labels(forward.batch)
        output = forward.model(batch["pixel_values"], batch["input_ids"], batch.get("attention_mask"))
        logits = output.logits.to(torch.promote_types(output.logits.dtype, torch.float32))
        loss = pixel_cross_entropy_sum(logits, labels_NHW)
        return loss + self.spec.dice_weight * dice_loss_sum(logits, labels_NHW) if self.spec.dice_weight else loss
