"""Fixed sine and cosine vectors of a square grid."""

from __future__ import annotations

import torch
from torch import Tensor


def sincos_2d(width: int, side: int, device: torch.device | None = None) -> Tensor:
    """Return (side * side, width), float32, cells in raster order.

    The first half of a vector says the column, the second the row; each half holds sines, then cosines, of the place
    times 10000^(-4 i / width) for i = 0, 1, ...

    Source:
        ``get_2d_sincos_pos_embed`` of facebookresearch/mae util/pos_embed.py, where the column goes first as well.
    """
    steps = torch.arange(width // 4, dtype=torch.float32, device=device) / (width / 4)
    angles = torch.outer(torch.arange(side, dtype=torch.float32, device=device), 10000.0**-steps)
    places = torch.cat([angles.sin(), angles.cos()], dim=-1)
    columns, rows = places[None].expand(side, -1, -1), places[:, None].expand(-1, side, -1)
    return torch.cat([columns, rows], dim=-1).flatten(0, 1)
