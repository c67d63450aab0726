"""Specs of the resolutions: how pixels become tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, PositiveInt

from geoprose.layout.resize import ResizeMode
from geoprose.layout.resolutions import RESOLUTIONS
from geoprose.systems.specs.base import HfValues, PartSpec, slot_type

_PIXELS = {"resample", "image_mean", "image_std"}


class ResolutionSpec(PartSpec):
    """How a chip becomes tiles, and how pixels are scaled."""

    image_size: PositiveInt
    """Side of a tile, pixels."""
    resample: Literal["nearest", "bilinear", "bicubic", "lanczos"] = "bicubic"
    image_mean: tuple[float, float, float]
    image_std: tuple[float, float, float]

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of the resolution: what plans tiles, not what scales pixels."""
        return self.model_dump(mode="json", exclude={"type", *_PIXELS})


class FixedResolutionSpec(ResolutionSpec):
    """One square tile per picture."""

    mode: ResizeMode = "resize"


class DynamicTilesResolutionSpec(ResolutionSpec):
    """A grid of tiles near the picture's shape, and the whole picture last (InternVL)."""

    min_tiles: PositiveInt = 1
    max_tiles: PositiveInt = 12
    """Most tiles of a grid, thumbnail not counted."""
    thumbnail: bool = True


class FuyuPatchesResolutionSpec(ResolutionSpec):
    """Any size up to a limit, filled up to whole patches; ``image_size`` is the side of a patch."""

    max_width_px: PositiveInt = 1920
    max_height_px: PositiveInt = 1080


class OtherResolutionSpec(ResolutionSpec):
    """A resolution without a spec of its own."""

    options: HfValues = Field(default_factory=dict)

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of the resolution."""
        return {"image_size": self.image_size, **self.options}


SPECS: dict[str, type[PartSpec]] = {
    "dynamic_tiles": DynamicTilesResolutionSpec,
    "fixed": FixedResolutionSpec,
    "fuyu_patches": FuyuPatchesResolutionSpec,
}

if TYPE_CHECKING:
    ResolutionSlot = ResolutionSpec
else:
    ResolutionSlot = slot_type(RESOLUTIONS, SPECS, other=OtherResolutionSpec, default="fixed")
