"""Unshuffle MLP with five summary tokens in front: the whole tile, and what lies north, south, east and west."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from geoprose.core.errors import ConfigError
from geoprose.models.parts.connectors.unshuffle import UnshuffleMlpConnector

SUMMARIES = ("whole", "north", "south", "east", "west")
"""What the summary tokens stand for, in their order."""


def compass_cover(side: int) -> Tensor:
    """Return the share of each cell in each summary token, (5, side * side), rows as in ``SUMMARIES``.

    The whole is the mean of all cells. A direction is a contrast: the mean of its half minus the mean of the opposite
    half, so a class that lies everywhere cancels.

    Raises:
        ConfigError: If the side is odd, so that there are no halves.
    """
    if side < 2 or side % 2:
        raise ConfigError(f"A compass needs a grid of cells with an even side, got {side}.")
    step = torch.cat([torch.ones(side // 2), -torch.ones(side // 2)]) * 2 / side**2
    north, west = step[:, None].expand(side, side), step[None, :].expand(side, side)
    whole = torch.full((side, side), 1 / side**2)
    return torch.stack([whole, north, -north, -west, west]).reshape(5, side * side)


class CompassMlpConnector(UnshuffleMlpConnector):
    """The unshuffle MLP over S * S cells, with summary tokens in front (V = 9 + S * S).

    With ``z`` the hidden vector of a cell (all layers but the last) and ``C`` the cover of ``compass_cover``: cells are
    ``W z + b``; the whole is ``C_0 (W z + b)``; direction ``d`` is ``W' gelu(U [C_d z, |C_x z|, C_0 z] + c) + b'``
    with ``x`` a direction across it: two layers of their own (``contrast_hidden``, ``contrast_layer``), since a
    difference of halves has another scale than a cell, and since whether a class lies north above all depends on how
    far it leans east or west. A marker follows each direction: a token that is its position vector alone. Started from
    the word for the direction, it is what an induction head copies when a question ends in the word that the direction
    token resembles. So where something lies is read, not computed from sixteen tokens. The order is whole, north,
    marker, south, marker, east, marker, west, marker, cells. Designed for this project's demo.

    Args:
        in_size: Width of a patch feature.
        out_size: Width of the language model.
        position_grid: Side S of the grid of cells, even; all V tokens get learned position vectors.
        **options: As in ``UnshuffleMlpConnector``; ``depth`` must be 2 or more.
    """

    def __init__(self, in_size: int, out_size: int, position_grid: int, **options: Any) -> None:
        super().__init__(in_size, out_size, position_grid=position_grid, **options)
        if len(self.layers) < 2:
            raise ConfigError(
                "A compass connector needs a depth of 2 or more: contrasts are taken of the hidden vectors."
            )
        compass_cover(position_grid)  # refuse an odd grid now
        self.grid = position_grid
        self.contrast_hidden = nn.Linear(3 * out_size, out_size)
        self.contrast_layer = nn.Linear(out_size, out_size)
        self.position_vectors = nn.Parameter(torch.zeros(2 * len(SUMMARIES) - 1 + position_grid**2, out_size))

    def forward(self, features_NPE: Tensor) -> Tensor:
        """Return visual tokens (N, 9 + S * S, D)."""
        contents = self.tokens(self.merge(features_NPE))
        if self.output_norm is not None:
            contents = self.output_norm(contents)
        assert self.position_vectors is not None
        return self.with_markers(contents) + self.position_vectors

    def tokens(self, merged_NSE: Tensor) -> Tensor:
        """Return summaries and cells (N, 5 + S * S, D) before the output norm."""
        # Why not a buffer: models are built on the meta device and loaded, which would leave it without values.
        cover = compass_cover(self.grid).to(merged_NSE)
        hidden_NSD = self.layers[:-1](merged_NSE)
        cells_NSD = self.layers[-1](hidden_NSD)
        return torch.cat([cover[:1] @ cells_NSD, self.directions(cover @ hidden_NSD), cells_NSD], dim=1)

    def directions(self, summaries_N5D: Tensor) -> Tensor:
        """Return what lies north, south, east and west (N, 4, D) from the hidden vectors of the five summaries."""
        along = summaries_N5D[:, 1:]
        across = along[:, [2, 3, 0, 1]].abs()
        whole = summaries_N5D[:, :1].expand_as(along)
        hidden = self.contrast_hidden(torch.cat([along, across, whole], dim=-1))
        directions: Tensor = self.contrast_layer(F.gelu(hidden))
        return directions

    def with_markers(self, tokens_NUD: Tensor) -> Tensor:
        """Put an empty token behind each direction: (N, 5 + S * S, D) to (N, 9 + S * S, D)."""
        n, _, d = tokens_NUD.shape
        contrasts = tokens_NUD[:, 1 : len(SUMMARIES)]
        directions = torch.stack([contrasts, torch.zeros_like(contrasts)], dim=2).reshape(n, -1, d)
        return torch.cat([tokens_NUD[:, :1], directions, tokens_NUD[:, len(SUMMARIES) :]], dim=1)

    def num_visual_tokens(self, num_patches: int) -> int:
        """Return the cells, the five summaries and the four markers."""
        return 2 * len(SUMMARIES) - 1 + super().num_visual_tokens(num_patches)

    def token_cover(self) -> Tensor:
        """Return the share of each cell in each token (V, S * S); a contrast has negative shares, a marker none."""
        cover = torch.cat([compass_cover(self.grid), torch.eye(self.grid**2)])
        rows = [0, *(row for direction in range(1, len(SUMMARIES)) for row in (direction, -1))]
        padded = torch.cat([cover, torch.zeros(1, self.grid**2)])
        return torch.cat([padded[rows], cover[len(SUMMARIES) :]])
