"""The unshuffle MLP, and separators that live in front of it (Phi-3-Vision).

Shapes: N tiles, P patches per tile, E encoder width, V merged blocks, D language-model width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from geoprose.layout.phi3_hd import NUM_SEPARATORS
from geoprose.models.parts.connectors.unshuffle import Order, UnshuffleMlpConnector


class SeparatedMlpConnector(UnshuffleMlpConnector):
    """``MLP([merged patches; end of row; border of views])``: the packer sets the last two where they belong.

    The separators have the width of a merged block, E * factor^2, and pass the same MLP, which treats every token by
    itself; projecting them beside the patches therefore equals setting them between the patches first.

    Args:
        in_size: E.
        out_size: D.
        factor: Patches merged along each edge.
        depth: Linear layers of the MLP.
        activation: Activation between them.
        order: Channel order of a merged block, see ``unshuffle``.

    Source:
        ``sub_GN`` and ``glb_GN`` of microsoft/Phi-3-vision-128k-instruct image_embedding_phi3_v.py.
    """

    def __init__(
        self,
        in_size: int,
        out_size: int,
        factor: int = 2,
        depth: int = 2,
        activation: str = "gelu",
        order: Order = "dyx_c",
    ) -> None:
        super().__init__(in_size, out_size, factor=factor, depth=depth, activation=activation, order=order)
        self.row_separator = nn.Parameter(torch.zeros(in_size * factor**2))
        self.view_separator = nn.Parameter(torch.zeros(in_size * factor**2))

    def forward(self, features_NPE: Tensor) -> Tensor:
        """Return visual tokens and the two separators (N, V + 2, D)."""
        visual_NVD = super().forward(features_NPE)
        separators_2D = self.layers(torch.stack([self.row_separator, self.view_separator]))
        return torch.cat([visual_NVD, separators_2D.expand(len(visual_NVD), -1, -1)], dim=1)

    def num_visual_tokens(self, num_patches: int) -> int:
        """Return ``num_patches / factor^2`` and the two separators."""
        return super().num_visual_tokens(num_patches) + NUM_SEPARATORS

    def init_weights(self) -> None:
        """Start the separators at zero, as published."""
        super().init_weights()
        nn.init.zeros_(self.row_separator)
        nn.init.zeros_(self.view_separator)
