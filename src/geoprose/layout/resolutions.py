"""The resolution slot: how a chip becomes tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from geoprose.core.errors import ConfigError
from geoprose.core.registry import Registry, options_of
from geoprose.layout.resize import RESIZE_MODES, plan_resize
from geoprose.layout.visual import Plan, VisualLayout

if TYPE_CHECKING:
    from collections.abc import Mapping


class Resolution(Protocol):
    """Plans the tiles of a chip; pure arithmetic, built from the options of the preset's ``resolution``."""

    def plan(self, width_px: int, height_px: int) -> Plan:
        """Return what a picture of this size becomes.

        Raises:
            ProcessingError: If the picture cannot be cut, e.g. because it is too narrow.
        """
        ...


@runtime_checkable
class SampleResolution(Protocol):
    """A resolution that cuts a picture otherwise when further pictures stand in the same sample."""

    def in_sample(self, num_pictures: int) -> Resolution:
        """Return the resolution of each picture in a sample of ``num_pictures``, videos not counted."""
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

    def __post_init__(self) -> None:
        """Refuse an unknown mode before the first picture comes."""
        if self.mode not in RESIZE_MODES:
            raise ConfigError(f"Unknown resize mode {self.mode!r}. Known: {', '.join(RESIZE_MODES)}.")

    def plan(self, width_px: int, height_px: int) -> Plan:
        """Return the single tile of the chip."""
        tile = plan_resize(width_px, height_px, self.mode, self.image_size)
        return Plan(VisualLayout(height_px=height_px, width_px=width_px), (tile,), tile)


RESOLUTIONS: Registry[type[Resolution]] = Registry(
    slot="resolution",
    table={
        "anyres": "geoprose.layout.anyres:AnyresResolution",
        "candidate_tiles": "geoprose.layout.candidate_tiles:CandidateTilesResolution",
        "dynamic_tiles": "geoprose.layout.dynamic_tiles:DynamicTilesResolution",
        "fixed": "geoprose.layout.resolutions:FixedResolution",
        "fuyu_patches": "geoprose.layout.patch_rows:FuyuPatchesResolution",
        "hybrid": "geoprose.layout.letterbox:HybridResolution",
        "letterbox": "geoprose.layout.letterbox:LetterboxResolution",
        "naive_dynamic": "geoprose.layout.naive_dynamic:NaiveDynamicResolution",
        "onevision": "geoprose.layout.onevision:OnevisionResolution",
        "phi3_hd": "geoprose.layout.phi3_hd:Phi3HdResolution",
        "tiled_canvas": "geoprose.layout.tiled_canvas:TiledCanvasResolution",
        "video_frames": "geoprose.layout.video:VideoFramesResolution",
        "views": "geoprose.layout.views:ViewsResolution",
    },
)


ONE_TILE = frozenset({"fixed", "hybrid", "letterbox", "video_frames", "views"})
"""Resolutions that make one tile of a picture, whatever its size."""


def resolution_of(part: Mapping[str, Any]) -> Resolution:
    """Return the resolution that ``{"type": name, **options}`` describes.

    Raises:
        ConfigError: If its name or options are wrong.
    """
    try:
        return RESOLUTIONS.get(part["type"])(**options_of(part))
    except TypeError as error:
        raise ConfigError(f"resolution {part['type']}: {error}") from error
