"""The resolution slot: how a chip becomes tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from geoprose.core.registry import Registry
from geoprose.layout.resize import ResizeHistory, plan_resize


class Resolution(Protocol):
    """Plans the tiles of a chip; pure arithmetic."""

    image_size: int
    """Side of a tile, pixels."""

    def plan(self, width_px: int, height_px: int) -> tuple[ResizeHistory, ...]:
        """Return one history per tile, in the order the tiles enter the model."""
        ...

    def num_tiles(self, width_px: int, height_px: int) -> int:
        """Return the number of tiles of a chip without planning them."""
        ...


@dataclass(frozen=True)
class FixedResolution:
    """One square tile per chip, whatever its size.

    Attributes:
        image_size: Side of the tile, pixels.
        mode: ``"resize"``, ``"pad"`` or ``"center_crop"``.
    """

    image_size: int
    mode: str = "resize"

    def plan(self, width_px: int, height_px: int) -> tuple[ResizeHistory, ...]:
        """Return the single history of the chip."""
        return (plan_resize(width_px, height_px, self.mode, self.image_size),)

    def num_tiles(self, width_px: int, height_px: int) -> int:
        """Return 1."""
        return 1


RESOLUTIONS: Registry[type[Resolution]] = Registry(
    slot="resolution", table={"fixed": "geoprose.layout.resolutions:FixedResolution"}
)
