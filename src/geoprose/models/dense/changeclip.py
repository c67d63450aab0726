"""ChangeCLIP-style change detection: two dates, prompts, and what differs between them.

For the maps F_A, F_B of one stage, and the pyramid o of both joined:

    s_d = cos(z_d, t + gamma dec(t, [g_d; z_d]))        score map of date d, joined to the third stage
    m   = relu(conv(|F_A - F_B|))                        what changed
    w   = sigmoid(1 - cos(F_A, F_B))                     where it changed
    x   = SE([w * o; m; o])                              differential feature compensation

The decoder climbs from the coarsest stage; at every step its cells ask the prompts of both dates.

Shapes: N pairs, E tower width, C decoder width, D shared width, K prompts, h w cells.

Source: Dong et al., ISPRS J. 208 (2024), doi 10.1016/j.isprsjprs.2024.01.004; reference code dyzy41/ChangeCLIP. Simpler
than it: the decoder's block is cross-attention and a convolution (there: shifted windows), texts are the caller's
(there: the picture's likeliest classes and learned context tokens), GroupNorm takes the place of BatchNorm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geoprose.models.dense.contracts import DateFeatures, DenseHead
from geoprose.models.dense.layers import ContextDecoder, CrossAttention, Fpn, SqueezeExcite, VitPyramid, score_map

if TYPE_CHECKING:
    from collections.abc import Sequence

_SCORED_STAGE = 2


class TextGuidedStep(nn.Module):
    """One step up: ``y = conv([skip; ask(up(x), texts)])``."""

    def __init__(self, width: int, text_width: int, num_heads: int) -> None:
        super().__init__()
        self.ask = CrossAttention(width, text_width, num_heads)
        self.join = nn.Sequential(nn.Conv2d(2 * width, width, 3, padding=1), nn.GroupNorm(1, width), nn.ReLU())

    def forward(self, coarse_NChw: Tensor, skip_NChw: Tensor, texts_NKD: Tensor) -> Tensor:
        """Return a map of the size of ``skip_NChw``."""
        up = F.interpolate(coarse_NChw, size=skip_NChw.shape[-2:], mode="bilinear", align_corners=False)
        asked = self.ask(up.flatten(2).transpose(1, 2), texts_NKD).transpose(1, 2).unflatten(2, up.shape[-2:])
        joined: Tensor = self.join(torch.cat([skip_NChw, asked], dim=1))
        return joined


class ChangeclipHead(DenseHead):
    """Two dates to scores of no change and change.

    Args:
        tower_width: E.
        width: D.
        channels: C of pyramid and decoder.
        num_prompts: K; the score maps of that many prompts join the third stage.
        num_classes: Classes of the mask.
        context: Options of the context decoder; its ``num_heads`` are those of the mask decoder too.
    """

    num_dates = 2

    def __init__(
        self,
        tower_width: int,
        width: int,
        channels: int = 256,
        num_prompts: int = 2,
        num_classes: int = 2,
        context: dict[str, int] | None = None,
    ) -> None:
        super().__init__(tower_width, width)
        self.num_prompts = num_prompts
        self.pyramid = VitPyramid(tower_width)
        options = {"num_heads": 4, **(context or {})}
        self.context = ContextDecoder(width, **options)
        widths = [tower_width + (num_prompts if stage == _SCORED_STAGE else 0) for stage in range(4)]
        self.fpn = Fpn([2 * stage_width for stage_width in widths], channels)
        self.differences = nn.ModuleList(nn.Conv2d(stage_width, channels, 1) for stage_width in widths)
        self.compensate = nn.ModuleList(SqueezeExcite(3 * channels, channels) for _ in range(4))
        self.steps = nn.ModuleList(TextGuidedStep(channels, width, options["num_heads"]) for _ in range(3))
        self.classify = nn.Conv2d(channels, num_classes, 1)

    def forward(self, dates: Sequence[DateFeatures], texts_KD: Tensor) -> Tensor:
        """Return scores (N, classes, 4h, 4w)."""
        stages_and_texts = [self.describe(date, texts_KD) for date in dates]
        (before, texts_before), (after, texts_after) = stages_and_texts
        joined = self.fpn([torch.cat(pair, dim=1) for pair in zip(before, after, strict=True)])
        maps = [self.compare(stage, before[stage], after[stage], joined[stage]) for stage in range(4)]
        texts_NMD = torch.cat([texts_before, texts_after], dim=1)
        x = maps[-1]
        for step, skip in zip(self.steps, reversed(maps[:-1]), strict=True):
            x = step(x, skip, texts_NMD)
        scores: Tensor = self.classify(x)
        return scores

    def describe(self, date: DateFeatures, texts_KD: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return the pyramid of one date, score map included, and the prompts as that date refines them."""
        texts_NKD = texts_KD.expand(len(date.image_ND), -1, -1)
        memory = torch.cat([date.image_ND.unsqueeze(1), date.patches_NDhw.flatten(2).transpose(1, 2)], dim=1)
        texts_NKD = self.context(texts_NKD, memory)
        maps = list(date.maps)
        stages = self.pyramid(maps)
        stages[_SCORED_STAGE] = torch.cat([stages[_SCORED_STAGE], score_map(date.patches_NDhw, texts_NKD)], dim=1)
        return stages, texts_NKD

    def compare(self, stage: int, before: Tensor, after: Tensor, joined_NChw: Tensor) -> Tensor:
        """Return the compensated features x (N, C, h, w) of one stage."""
        what = F.relu(self.differences[stage]((before - after).abs()))
        where = torch.sigmoid(1 - F.cosine_similarity(before, after, dim=1)).unsqueeze(1)
        compensated: Tensor = self.compensate[stage](torch.cat([joined_NChw * where, what, joined_NChw], dim=1))
        return compensated
