"""Bring a learned position table to another grid."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from geoprose.core.errors import ModelError


def resize_position_table(
    table: Tensor, num_prefix: int, new_side: int, mode: str = "bicubic", align_corners: bool = False
) -> Tensor:
    """Interpolate the patch rows of a position table to a ``new_side`` by ``new_side`` grid.

    Args:
        table: (..., prefix + side * side, E), raster order behind the prefix rows.
        num_prefix: Rows that belong to prefix tokens; kept as they are.
        new_side: Patches along one edge of the new grid.
        mode: ``"bicubic"`` or ``"bilinear"``.
        align_corners: True moves corner to corner (GeoChat); False keeps pixel areas (DINOv2, CLIP in transformers).

    Returns:
        The new table with the leading dimensions and dtype of the old; the same object when the grid is unchanged.

    Raises:
        ModelError: If the patch rows do not form a square.

    Source:
        GeoChat mbzuai-oryx/GeoChat, ``clip_interpolate_embeddings``; DINOv2 ``interpolate_pos_encoding``.
    """
    rows = table.shape[-2] - num_prefix
    side = round(rows**0.5)
    if side * side != rows:
        raise ModelError(f"A position table of {rows} patch rows is not square, so it cannot be interpolated.")
    if side == new_side:
        return table
    flat = table.reshape(-1, table.shape[-1])
    grid = flat[num_prefix:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    # Half precision would shift the embeddings; float64 stays float64.
    grid = grid.to(torch.promote_types(table.dtype, torch.float32))
    grid = F.interpolate(grid, size=(new_side, new_side), mode=mode, align_corners=align_corners)
    patches = grid.permute(0, 2, 3, 1).reshape(new_side * new_side, -1).to(table.dtype)
    resized = torch.cat([flat[:num_prefix], patches])
    return resized.reshape(*table.shape[:-2], *resized.shape)
