"""Packers: in which order the visual tokens of tiles enter the sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.models.parts.contracts import Packer

if TYPE_CHECKING:
    from torch import Tensor


class FlatPacker(Packer):
    """Tiles one after the other, tokens in raster order, nothing between them (LLaVA, LLaVA-1.5)."""

    def pack(self, visual_tokens_NVD: Tensor) -> Tensor:
        """Return (N * V, D)."""
        return visual_tokens_NVD.flatten(0, 1)

    def num_tokens(self, num_tiles: int, num_visual_tokens: int) -> int:
        """Return ``num_tiles * num_visual_tokens``."""
        return num_tiles * num_visual_tokens
