"""Gated attention pools the views of one moment into the tokens of one view.

Shapes: n views of one visual, V tokens per view, D width, G width of the gates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from geoprose.core.errors import ProcessingError
from geoprose.models.parts.contracts import Packer
from geoprose.models.parts.packers.flat import split_tiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.layout.visual import VisualLayout


class GatedViewsPacker(Packer):
    """One weight per view, from all of its tokens: ``a = softmax_n(w^T (tanh(Z x_n) * sigmoid(G x_n)) + b)``.

    The visual's tokens are ``sum_n a_n x_n``, where ``x_n`` is view n flattened to V * D numbers.

    Args:
        width: D.
        tokens_per_view: V that the gates are made for.
        hidden_size: G.

    Source:
        EM-VLM4AD arXiv:2403.19838 section 3.1, after the gated pooling of arXiv:1802.04712 equation 9; reference code
        akshaygopalkr/EM-VLM4AD ``multi_frame_model.py``.
    """

    def __init__(self, width: int, tokens_per_view: int = 49, hidden_size: int = 128) -> None:
        super().__init__(width)
        self.tokens_per_view = tokens_per_view
        self.content = nn.Linear(tokens_per_view * width, hidden_size, bias=False)
        self.gate = nn.Linear(tokens_per_view * width, hidden_size, bias=False)
        self.score = nn.Linear(hidden_size, 1)

    def forward(self, tokens_NVD: Tensor, layouts: Sequence[VisualLayout]) -> Sequence[Tensor]:
        """Return one (V, D) per visual.

        Raises:
            ProcessingError: If a view has another number of tokens than the gates are made for.
        """
        if tokens_NVD.shape[1] != self.tokens_per_view:
            raise ProcessingError(
                f"The gates are made for {self.tokens_per_view} tokens per view, got {tokens_NVD.shape[1]}; set "
                "packer.tokens_per_view to what the connector makes of one tile."
            )
        return [self.pool(views) for views in split_tiles(tokens_NVD, layouts)]

    def pool(self, views_nVD: Tensor) -> Tensor:
        """Return the weighted mean of the views (V, D)."""
        flat = views_nVD.flatten(1)
        weights_n1 = torch.softmax(self.score(torch.tanh(self.content(flat)) * torch.sigmoid(self.gate(flat))), dim=0)
        return (weights_n1 * flat).sum(0).reshape(views_nVD.shape[1:])
