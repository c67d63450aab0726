"""SegCLIP-style semantic segmentation: prompts become class prototypes that find their pixels.

    V      = p_3 + W z               the third stage, and the patches in the space of the text
    V', T' = CFF(V, T)              patches ask the prompts and prompts ask the patches (cross-modal feature fusion)
    q_0    = T'                     one prototype per class
    M_l    = q_l P^T                masks so far, P the finest map
    q_l+1  = ffn(self(cross(q_l, F_l, where sigmoid(M_l) > 1/2)))      one scale F_l after another, coarse first

Shapes: N pictures, E tower width, C decoder width, D shared width, K prompts = classes, h w cells.

Source: Zhang et al., IEEE TGRS (2024), "SegCLIP: Multimodal Visual-Language and Prompt Learning for High-Resolution
Remote Sensing Semantic Segmentation" (abstract; no published code); masked queries as in Mask2Former, arXiv:2112.01527.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geoprose.models.dense.contracts import DateFeatures, DenseHead
from geoprose.models.dense.layers import CrossAttention, FeedForward, Fpn, VitPyramid

if TYPE_CHECKING:
    from collections.abc import Sequence


class CrossModalFusion(nn.Module):
    """Both ways at once, each from the other's values before the step."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.to_patches = CrossAttention(width, width, num_heads)
        self.to_texts = CrossAttention(width, width, num_heads)

    def forward(self, patches_NMC: Tensor, texts_NKC: Tensor) -> tuple[Tensor, Tensor]:
        """Return patches and texts that know of each other."""
        return self.to_patches(patches_NMC, texts_NKC), self.to_texts(texts_NKC, patches_NMC)


class PrototypeLayer(nn.Module):
    """Prototypes ask the pixels of their mask, then each other."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.cross = CrossAttention(width, width, num_heads)
        self.own = CrossAttention(width, width, num_heads)
        self.forwards = FeedForward(width)

    def forward(self, prototypes_NKC: Tensor, pixels_NMC: Tensor, may_see_NKM: Tensor) -> Tensor:
        """Return prototypes (N, K, C)."""
        x = self.cross(prototypes_NKC, pixels_NMC, may_see_NKM)
        y: Tensor = self.forwards(self.own(x, x))
        return y


class SegclipHead(DenseHead):
    """One picture and K prompts to K class scores per cell.

    Args:
        tower_width: E.
        width: D.
        channels: C.
        num_heads: Heads of every attention.
        rounds: Passes over the three coarser scales.
    """

    def __init__(self, tower_width: int, width: int, channels: int = 256, num_heads: int = 8, rounds: int = 1) -> None:
        super().__init__(tower_width, width)
        self.pyramid = VitPyramid(tower_width)
        self.fpn = Fpn([tower_width] * 4, channels)
        self.text_in = nn.Linear(width, channels)
        self.patches_in = nn.Conv2d(width, channels, 1)
        self.fuse = CrossModalFusion(channels, num_heads)
        self.layers = nn.ModuleList(PrototypeLayer(channels, num_heads) for _ in range(3 * rounds))
        self.norm = nn.LayerNorm(channels)
        self.rounds = rounds

    def forward(self, dates: Sequence[DateFeatures], texts_KD: Tensor) -> Tensor:
        """Return scores (N, K, 4h, 4w)."""
        (date,) = dates
        texts_NKC = self.text_in(texts_KD).expand(len(date.image_ND), -1, -1)
        maps = self.fpn(self.pyramid(list(date.maps)))
        patches_NChw = maps[_FUSED] + self.patches_in(date.patches_NDhw)
        fused, prototypes = self.fuse(patches_NChw.flatten(2).transpose(1, 2), texts_NKC)
        maps[_FUSED] = fused.transpose(1, 2).unflatten(2, patches_NChw.shape[-2:])
        finest = maps[0]
        for layer, scale in zip(self.layers, [3, 2, 1] * self.rounds, strict=True):
            seen = visible(self.masks(prototypes, finest), maps[scale].shape[-2:])
            prototypes = layer(prototypes, maps[scale].flatten(2).transpose(1, 2), seen)
        return self.masks(prototypes, finest)

    def masks(self, prototypes_NKC: Tensor, finest_NChw: Tensor) -> Tensor:
        """Return the scores (N, K, h, w) of every prototype at every cell."""
        return torch.einsum("nkc,nchw->nkhw", self.norm(prototypes_NKC), finest_NChw)


_FUSED = 2
"""The stage on the patch grid, where patches and prompts meet."""


def visible(scores_NKhw: Tensor, size: Sequence[int]) -> Tensor:
    """Return which cells of a grid a prototype may look at (N, K, cells): those of its mask, or all if it has none."""
    resized = F.interpolate(scores_NKhw.detach(), size=tuple(size), mode="bilinear", align_corners=False)
    inside_NKM = resized.flatten(2) > 0  # sigmoid > 1/2
    return inside_NKM | ~inside_NKM.any(-1, keepdim=True)
