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


class CandidateTilesResolutionSpec(ResolutionSpec):
    """The whole picture first, then the grid of tiles that shows most of it (DeepSeek-VL2)."""

    max_tiles: PositiveInt = 9
    """Most tiles of a grid, whole view not counted."""
    max_tiled_pictures: PositiveInt = 2
    """With more pictures in a sample, each has a grid of one tile."""


class LetterboxResolutionSpec(ResolutionSpec):
    """One tile: the longer edge brought to size, the rest filled (DeepSeek-VL)."""

    min_side_px: PositiveInt = 14


class HybridResolutionSpec(LetterboxResolutionSpec):
    """A large tile for one encoder, and the same tile made small for the other (DeepSeek-VL 7B)."""

    high_res_size: PositiveInt = 1024
    """Side of the large tile, pixels."""
    high_res_mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    high_res_std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)


class NaiveDynamicResolutionSpec(ResolutionSpec):
    """The picture at its own size, edges rounded to whole tokens (Qwen2-VL)."""

    patch_size: PositiveInt = 14
    """Side of a patch, pixels; ``image_size`` is the side of the square of patches that becomes one token."""
    min_pixels: PositiveInt = 56 * 56
    max_pixels: PositiveInt = 28 * 28 * 1280
    video_min_pixels: PositiveInt = 28 * 28 * 128
    """Limits of a frame of a video."""
    video_max_pixels: PositiveInt = 28 * 28 * 768
    frames_per_step: PositiveInt = 2
    """Frames that one patch spans."""


class AnyresResolutionSpec(ResolutionSpec):
    """The whole picture, then tiles of the grid that fits it best (LLaVA-NeXT, LLaVA-OneVision)."""

    grids: tuple[tuple[PositiveInt, PositiveInt], ...] | None = None
    """Grids to choose from, rows and columns each; null for those that the scheme was published with."""

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of the resolution."""
        values = super().arguments()
        return {key: value for key, value in values.items() if value is not None}


class Phi3HdResolutionSpec(ResolutionSpec):
    """A canvas of tiles, and the same canvas small (Phi-3-Vision)."""

    max_tiles: PositiveInt = 16
    """Most tiles, the small view not counted."""


class TiledCanvasResolutionSpec(ResolutionSpec):
    """The picture on a canvas of tiles, no thumbnail (Llama 3.2 Vision)."""

    max_tiles: PositiveInt = 4


class OtherResolutionSpec(ResolutionSpec):
    """A resolution without a spec of its own."""

    options: HfValues = Field(default_factory=dict)

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of the resolution."""
        return {"image_size": self.image_size, **self.options}


SPECS: dict[str, type[PartSpec]] = {
    "anyres": AnyresResolutionSpec,
    "candidate_tiles": CandidateTilesResolutionSpec,
    "dynamic_tiles": DynamicTilesResolutionSpec,
    "fixed": FixedResolutionSpec,
    "hybrid": HybridResolutionSpec,
    "letterbox": LetterboxResolutionSpec,
    "naive_dynamic": NaiveDynamicResolutionSpec,
    "fuyu_patches": FuyuPatchesResolutionSpec,
    "onevision": AnyresResolutionSpec,
    "phi3_hd": Phi3HdResolutionSpec,
    "tiled_canvas": TiledCanvasResolutionSpec,
    "video_frames": FixedResolutionSpec,
    "views": FixedResolutionSpec,
}

if TYPE_CHECKING:
    ResolutionSlot = ResolutionSpec
else:
    ResolutionSlot = slot_type(RESOLUTIONS, SPECS, other=OtherResolutionSpec, default="fixed")
