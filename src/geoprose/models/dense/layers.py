"""Layers that the dense heads share.

Shapes: N pictures, E C channels, h w cells, K prompts, D width, Q queries, M keys.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence


class VitPyramid(nn.Module):
    """Four maps of one grid to strides 1/4, 1/2, 1 and 2 of it, as plain ViTs are made into pyramids.

    Source:
        DenseCLIP, arXiv:2112.01518 (ViT variant): transposed convolutions up, max pooling down.
    """

    def __init__(self, width: int) -> None:
        super().__init__()

        def up() -> nn.Module:
            return nn.ConvTranspose2d(width, width, kernel_size=2, stride=2)

        self.finest = nn.Sequential(up(), nn.GroupNorm(1, width), nn.GELU(), up())
        self.fine = up()

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return maps (N, E, 4h, 4w), (N, E, 2h, 2w), (N, E, h, w), (N, E, h/2, w/2)."""
        first, second, third, fourth = maps
        return [self.finest(first), self.fine(second), third, F.max_pool2d(fourth, 2)]


class Fpn(nn.Module):
    """``p_i = conv3(l_i)`` with ``l_i = conv1(x_i) + up(l_{i+1})``, finest first.

    Source:
        Feature pyramid networks, arXiv:1612.03144.
    """

    def __init__(self, in_widths: Sequence[int], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(in_width, width, 1) for in_width in in_widths)
        self.smooth = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in in_widths)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return maps of one width, in the order and sizes of ``maps``."""
        merged = [layer(item) for layer, item in zip(self.lateral, maps, strict=True)]
        for index in range(len(merged) - 2, -1, -1):
            merged[index] = merged[index] + F.interpolate(merged[index + 1], size=merged[index].shape[-2:])
        return [layer(item) for layer, item in zip(self.smooth, merged, strict=True)]


class SqueezeExcite(nn.Module):
    """``y = W_o (x * sigmoid(W_2 relu(W_1 mean(x))))``: channels weighed by the whole picture, then mixed.

    Source:
        arXiv:1709.01507; ChangeCLIP reweighs its joined features this way.
    """

    def __init__(self, in_width: int, out_width: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(in_width // reduction, 1)
        self.gate = nn.Sequential(nn.Conv2d(in_width, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, in_width, 1))
        self.out = nn.Conv2d(in_width, out_width, 1)

    def forward(self, map_NChw: Tensor) -> Tensor:
        """Return (N, out, h, w)."""
        weights_NC11 = self.gate(map_NChw.mean((-2, -1), keepdim=True)).sigmoid()
        mixed: Tensor = self.out(map_NChw * weights_NC11)
        return mixed


class CrossAttention(nn.Module):
    """``y = x + W_o softmax(W_q n(x) (W_k c)^T / sqrt(d) + mask) W_v c``, several heads."""

    def __init__(self, width: int, context_width: int, num_heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(context_width, width)
        self.value = nn.Linear(context_width, width)
        self.out = nn.Linear(width, width)
        self.num_heads = num_heads

    def forward(self, x_NQD: Tensor, context_NMC: Tensor, may_see_NQM: Tensor | None = None) -> Tensor:
        """Return (N, Q, D).

        Args:
            x_NQD: Queries.
            context_NMC: What they ask.
            may_see_NQM: True where a query may look; every query must see something.
        """
        query, key, value = (
            tensor.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for tensor in (self.query(self.norm(x_NQD)), self.key(context_NMC), self.value(context_NMC))
        )
        mask = None if may_see_NQM is None else may_see_NQM.unsqueeze(1)
        found = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        answer: Tensor = x_NQD + self.out(found.transpose(1, 2).flatten(2))
        return answer


class FeedForward(nn.Module):
    """``y = x + W_2 gelu(W_1 n(x))``."""

    def __init__(self, width: int, ratio: int = 4) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.layers = nn.Sequential(nn.Linear(width, ratio * width), nn.GELU(), nn.Linear(ratio * width, width))

    def forward(self, x: Tensor) -> Tensor:
        """Return a tensor of the same shape."""
        y: Tensor = x + self.layers(self.norm(x))
        return y


class ContextDecoder(nn.Module):
    """Text asks the picture: ``t' = t + gamma * dec(t, [g; z])``, so that prompts fit what is there.

    Args:
        width: D of text and picture embeddings.
        hidden: Width of the decoder.
        num_layers: Blocks of self-attention, cross-attention and feed-forward.
        num_heads: Heads of both attentions.

    Source:
        DenseCLIP section 3.3, as ChangeCLIP uses it (3 layers, width 256, 4 heads, gamma starts at 1e-4).
    """

    def __init__(self, width: int, hidden: int = 256, num_layers: int = 3, num_heads: int = 4) -> None:
        super().__init__()
        self.text_in = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, hidden))
        self.memory_in = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, hidden), nn.LayerNorm(hidden))
        self.own = nn.ModuleList(CrossAttention(hidden, hidden, num_heads) for _ in range(num_layers))
        self.asked = nn.ModuleList(CrossAttention(hidden, hidden, num_heads) for _ in range(num_layers))
        self.forwards = nn.ModuleList(FeedForward(hidden) for _ in range(num_layers))
        self.text_out = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, width))
        self.gamma = nn.Parameter(torch.full((width,), 1e-4))

    def forward(self, texts_NKD: Tensor, memory_NMD: Tensor) -> Tensor:
        """Return refined texts (N, K, D) for the embeddings (N, M, D) of a picture and its patches."""
        x, memory = self.text_in(texts_NKD), self.memory_in(memory_NMD)
        for own, asked, forward in zip(self.own, self.asked, self.forwards, strict=True):
            x = forward(asked(own(x, x), memory))
        refined: Tensor = texts_NKD + self.gamma * self.text_out(x)
        return refined


def score_map(patches_NDhw: Tensor, texts_NKD: Tensor) -> Tensor:
    """Return the cosine of every patch and every prompt (N, K, h, w)."""
    return torch.einsum("ndhw,nkd->nkhw", F.normalize(patches_NDhw, dim=1), F.normalize(texts_NKD, dim=2))
