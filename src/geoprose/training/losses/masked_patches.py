"""A vision encoder learns from pictures alone: it paints hidden patches from the visible ones."""

# N pictures, C channels, g x g the grid of patches, s side of a patch in pixels, E encoder width, P = g * g

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from geoprose.core.errors import ConfigError
from geoprose.data.mixture import generator
from geoprose.models.inputs import VisualInputs
from geoprose.training.access import picture_encoder
from geoprose.training.losses.base import Batch, Forward, LossContext, StageLoss

if TYPE_CHECKING:
    from collections.abc import Sequence

_MASK_STD = 0.02


def hide_blocks(seed: Sequence[int], num_pictures: int, side: int, block: int, ratio: float) -> Tensor:
    """Return which patches are hidden (N, side, side): in each picture the same number of square blocks, at random.

    Args:
        seed: Key of the random numbers.
        num_pictures: N.
        side: Patches along an edge; a multiple of ``block``.
        block: Patches along an edge of a block.
        ratio: Share of blocks that is hidden, rounded up to whole blocks.

    Source:
        SimMIM, arXiv:2111.09886, section 3.2, random masking.
    """
    blocks = side // block
    random, count = generator(*seed), num_hidden_blocks(side, block, ratio)
    ranks = np.argsort(random.random((num_pictures, blocks * blocks)), axis=1).argsort(axis=1)
    hidden = torch.from_numpy(ranks < count).reshape(num_pictures, blocks, blocks)
    return hidden.repeat_interleave(block, 1).repeat_interleave(block, 2)


def num_hidden_blocks(side: int, block: int, ratio: float) -> int:
    """Return how many blocks of a picture are hidden."""
    return math.ceil((side // block) ** 2 * ratio)


def painting_loss_sum(painted_NCHW: Tensor, pixels_NCHW: Tensor, hidden_Ngg: Tensor) -> Tensor:
    """Return the sum over hidden patches of the mean absolute error of their pixels, in float32 or wider.

    Source:
        SimMIM, arXiv:2111.09886, equation 1.
    """
    side = pixels_NCHW.shape[-1] // hidden_Ngg.shape[-1]
    wide = torch.promote_types(painted_NCHW.dtype, torch.float32)
    error_N1HW = (painted_NCHW.to(wide) - pixels_NCHW.to(wide)).abs().mean(1, keepdim=True)
    return (F.avg_pool2d(error_N1HW, side)[:, 0] * hidden_Ngg.to(wide)).sum()


class MaskedPatchesLoss(StageLoss):
    """Hide patches behind one learnt patch, encode the whole picture, paint the hidden ones by one linear layer.

    A learnt patch of pixels stands where SimMIM puts a learnt token: behind the linear patch embedding they are the
    same, and any encoder takes pixels. Patch and layer are thrown away after the stage.

    Raises:
        ConfigError: If the encoder gives no square grid of patches, or blocks do not divide it.
    """

    feed = "pictures"
    kinds = ("composite", "encoder_decoder", "dual_encoder")
    needs_text = False
    needs_pixels = True

    def __init__(self, spec: Any, context: LossContext) -> None:
        super().__init__(spec, context)
        encoder = picture_encoder(context.system.model)
        self.grid, self.side = _grid(encoder), 0
        image_side = int(context.system.spec.resolution.image_size)
        if self.grid < 2 or image_side % self.grid or self.grid % spec.block:
            raise ConfigError(
                f"Loss masked_patches: the encoder of {context.system.spec.name} makes {self.grid} x {self.grid} "
                f"patches of {image_side} x {image_side} pixels; it needs a square grid of at least 2 x 2 that divides "
                f"the picture and is a multiple of block {spec.block}."
            )
        self.side = image_side // self.grid
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(context.seed)
            head = nn.Linear(_width(encoder), 3 * self.side**2)
            patch = nn.Parameter(torch.randn(3, self.side, self.side) * _MASK_STD)
        self.parameters = {**dict(head.named_parameters()), "patch": patch}

    def num_items(self, batch: Batch) -> float:
        """Return the hidden patches."""
        count = num_hidden_blocks(self.grid, self.spec.block, self.spec.mask_ratio) * self.spec.block**2
        return float(len(batch["pixel_values"]) * count)

    def loss_sum(self, forward: Forward) -> Tensor:
        """Return the sum over hidden patches."""
        pixels_NCHW, encoder = forward.batch["pixel_values"], picture_encoder(forward.model)
        key = (self.context.seed, int(forward.batch["number"]))
        hidden_Ngg = hide_blocks(key, len(pixels_NCHW), self.grid, self.spec.block, self.spec.mask_ratio)
        hidden_Ngg = hidden_Ngg.to(pixels_NCHW.device)
        pixel_hidden = hidden_Ngg.repeat_interleave(self.side, 1).repeat_interleave(self.side, 2)[:, None]
        patches = self.parameters["patch"].repeat(1, self.grid, self.grid)
        features_NPE = _patch_features(encoder, torch.where(pixel_hidden, patches.to(pixels_NCHW.dtype), pixels_NCHW))
        painted_NPF = F.linear(features_NPE.to(patches.dtype), self.parameters["weight"], self.parameters["bias"])
        painted_NFgg = painted_NPF.transpose(1, 2).reshape(len(painted_NPF), -1, self.grid, self.grid)
        return painting_loss_sum(F.pixel_shuffle(painted_NFgg, self.side), pixels_NCHW, hidden_Ngg)


def _grid(encoder: Any) -> int:
    """Return g, or 0 where the features are no square grid."""
    if hasattr(encoder, "grid_side"):
        return int(encoder.grid_side())
    side = math.isqrt(encoder.num_patches())
    return side if side**2 == encoder.num_patches() else 0


def _width(encoder: Any) -> int:
    return int(encoder.hidden_size)


def _patch_features(encoder: Any, pixels_NCHW: Tensor) -> Tensor:
    """Return (N, P, E) of an encoder of a composite, or of a tower before it pools."""
    if hasattr(encoder, "maps"):
        (map_NEgg,), _ = encoder.maps(pixels_NCHW, [-1])
        features_NPE: Tensor = encoder.normed(map_NEgg.flatten(2).transpose(1, 2))
        return features_NPE
    encoded: Tensor = encoder.encode(VisualInputs(pixel_values=pixels_NCHW.to(next(encoder.parameters()).dtype)))
    return encoded
