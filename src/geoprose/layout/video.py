"""Videos as frames that are seen whole, one tile each."""

from __future__ import annotations

from dataclasses import dataclass

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.layout.anyres import token_side
from geoprose.layout.resize import ResizeHistory, plan_resize
from geoprose.layout.resolutions import FixedResolution
from geoprose.layout.visual import Plan, VisualLayout


def plan_frames(num_frames: int, tile: ResizeHistory) -> Plan:
    """Return the plan of a video whose every frame becomes ``tile``.

    Raises:
        ProcessingError: If there is no frame.
    """
    if num_frames < 1:
        raise ProcessingError("A video needs at least one frame.")
    width_px, height_px = tile.original_size_px
    return Plan(VisualLayout(num_frames, 0, 0, thumbnail=1, height_px=height_px, width_px=width_px), (tile,), tile)


@dataclass(frozen=True)
class VideoFramesResolution(FixedResolution):
    """One square tile per picture and per frame of a video.

    Attributes:
        image_size: Side of the tile, pixels.
        mode: ``"resize"``, ``"pad"`` or ``"center_crop"``.
    """

    def plan_video(self, num_frames: int, width_px: int, height_px: int) -> Plan:
        """Return the tile of each frame.

        Raises:
            ProcessingError: If there is no frame, or a frame has no pixels.
        """
        return plan_frames(num_frames, plan_resize(width_px, height_px, self.mode, self.image_size))


def pooled_by(side: int, pool: int) -> int:
    """Return the tokens along one edge after averaging over ``pool * pool``.

    Raises:
        ConfigError: If ``pool`` does not divide the edge.
    """
    if pool < 1 or side % pool:
        raise ConfigError(f"Frames of {side}x{side} tokens cannot be pooled by {pool}; choose a divisor of {side}.")
    return side // pool


@dataclass(frozen=True)
class VideoArrangement:
    """The pooled frames of a video one after the other; a picture as it is.

    Attributes:
        pool: Tokens of a frame are averaged over ``pool * pool``.
    """

    pool: int = 2

    def segments(self, layout: VisualLayout, tokens_per_tile: int) -> tuple[int, ...]:
        """Return one run."""
        if not layout.has_whole_frames_only:
            return (layout.num_tiles * tokens_per_tile,)
        return (layout.frames * pooled_by(token_side(tokens_per_tile), self.pool) ** 2,)
