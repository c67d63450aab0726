"""Qwen2-VL's naive dynamic resolution: a picture keeps its shape, and its size decides its number of tokens."""

from __future__ import annotations

import math
from dataclasses import dataclass

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.layout.resize import Resize, ResizeHistory
from geoprose.layout.visual import PatchGroups, Plan, VisualLayout

MAX_ASPECT = 200


@dataclass(frozen=True)
class NaiveDynamicResolution:
    """Round both edges to whole tokens and keep the number of pixels within limits.

    The unit of the layout is the token: a square of ``image_size`` pixels, ``(image_size / patch_size)^2`` patches that
    the connector merges. A video takes one step in time per ``frames_per_step`` frames.

    Attributes:
        image_size: Side of the square that becomes one token, pixels: patch size times merged patches along an edge.
        patch_size: Side of a patch, pixels.
        min_pixels: A smaller picture is enlarged.
        max_pixels: A larger picture is shrunk.
        video_min_pixels: The same for a frame of a video.
        video_max_pixels: The same for a frame of a video.
        frames_per_step: Frames that one patch spans in time; a picture is repeated, and so is a video's last frame.

    Source:
        arXiv:2409.12191 section 2.1; ``smart_resize`` of transformers' Qwen2-VL image processor, whose limits are the
        defaults.
    """

    image_size: int = 28
    patch_size: int = 14
    min_pixels: int = 56 * 56
    max_pixels: int = 28 * 28 * 1280
    video_min_pixels: int = 28 * 28 * 128
    video_max_pixels: int = 28 * 28 * 768
    frames_per_step: int = 2

    def __post_init__(self) -> None:
        """Refuse limits that cannot hold before the first picture comes."""
        if min(self.patch_size, self.frames_per_step) < 1 or self.image_size % self.patch_size:
            raise ConfigError(
                f"A token of {self.image_size} px is not made of whole patches of {self.patch_size} px; set image_size "
                "to a multiple of patch_size."
            )
        limits = ((self.min_pixels, self.max_pixels), (self.video_min_pixels, self.video_max_pixels))
        for least, most in limits:
            if not 1 <= least <= most or most < self.image_size**2:
                raise ConfigError(
                    f"No picture has between {least} and {most} pixels and whole tokens of {self.image_size} px; set "
                    f"1 <= min_pixels <= max_pixels and max_pixels >= {self.image_size**2}."
                )

    @property
    def patches(self) -> PatchGroups:
        """How the pixels are cut: the encoder reads patches, in groups that become one token."""
        return PatchGroups(self.patch_size, self.image_size // self.patch_size, self.frames_per_step)

    def plan(self, width_px: int, height_px: int) -> Plan:
        """Return the one resized picture and its grid of tokens.

        Raises:
            ProcessingError: If the picture has no pixels, or one edge is over 200 times the other.
        """
        size_px = smart_resize(width_px, height_px, self.image_size, self.min_pixels, self.max_pixels)
        return self._plan(1, size_px, (width_px, height_px))

    def plan_video(self, num_frames: int, width_px: int, height_px: int) -> Plan:
        """Return how each frame is resized, and the grid of tokens of the whole video.

        Raises:
            ProcessingError: If there is no frame, a frame has no pixels, or one edge is over 200 times the other.
        """
        if num_frames < 1:
            raise ProcessingError("A video needs at least one frame.")
        size_px = smart_resize(width_px, height_px, self.image_size, self.video_min_pixels, self.video_max_pixels)
        return self._plan(math.ceil(num_frames / self.frames_per_step), size_px, (width_px, height_px))

    def _plan(self, steps: int, size_px: tuple[int, int], original_px: tuple[int, int]) -> Plan:
        (width_px, height_px), (old_width_px, old_height_px) = size_px, original_px
        resize = Resize(width_px, height_px, width_px / old_width_px, height_px / old_height_px)
        whole = ResizeHistory(original_px, size_px, (resize,))
        layout = VisualLayout(
            frames=steps,
            rows=height_px // self.image_size,
            columns=width_px // self.image_size,
            height_px=old_height_px,
            width_px=old_width_px,
        )
        return Plan(layout, (whole,), whole)


def smart_resize(width_px: int, height_px: int, factor: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """Return width and height, multiples of ``factor`` with ``min_pixels`` to ``max_pixels`` pixels between them.

    Source:
        ``smart_resize`` of transformers; Python's rounding, half to even, is part of it.

    Raises:
        ProcessingError: If the picture has no pixels, or one edge is over 200 times the other.
    """
    if width_px < 1 or height_px < 1:
        raise ProcessingError(f"A picture of {width_px}x{height_px} px has no pixels; give one of at least 1x1 px.")
    if max(width_px, height_px) > MAX_ASPECT * min(width_px, height_px):
        raise ProcessingError(
            f"A picture of {width_px}x{height_px} px is too narrow: one edge is over {MAX_ASPECT} times the other. "
            "Crop it or cut it into pieces."
        )
    width, height = round(width_px / factor) * factor, round(height_px / factor) * factor
    if width * height > max_pixels:
        shrink = math.sqrt(width_px * height_px / max_pixels)
        width = max(factor, math.floor(width_px / shrink / factor) * factor)
        height = max(factor, math.floor(height_px / shrink / factor) * factor)
    elif width * height < min_pixels:
        grow = math.sqrt(min_pixels / (width_px * height_px))
        width = math.ceil(width_px * grow / factor) * factor
        height = math.ceil(height_px * grow / factor) * factor
    return width, height
