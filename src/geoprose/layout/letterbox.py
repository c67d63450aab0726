"""DeepSeek-VL's tiles: the longer edge brought to size, the rest filled; alone or beside a larger view."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.layout.resize import Pad, Resize, ResizeHistory
from geoprose.layout.visual import Plan, VisualLayout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geoprose.layout.resize import Fill

HIGH_RES = "high_res_pixel_values"
Statistics = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation per channel, of values 0..1."""


def plan_letterbox(
    width_px: int, height_px: int, size: int, min_side_px: int = 14, fill: Fill | tuple[int, ...] = "mean"
) -> ResizeHistory:
    """Plan the square tile of a picture: resize the longer edge to ``size``, then pad about the centre.

    Args:
        width_px: Columns of the picture.
        height_px: Rows of the picture.
        size: Side of the tile, pixels.
        min_side_px: The shorter edge is never made smaller than this.
        fill: Colour of the padding.

    Raises:
        ProcessingError: If the picture has no pixels.

    Source:
        ``resize`` of transformers' DeepseekVLImageProcessor, which rounds; deepseek-ai/DeepSeek-VL truncates, one pixel
        less for some shapes.
    """
    if width_px < 1 or height_px < 1:
        raise ProcessingError(f"A picture of {width_px}x{height_px} px has no pixels; give one of at least 1x1 px.")
    scale = size / max(width_px, height_px)
    new_width_px = max(round(width_px * scale), min_side_px)
    new_height_px = max(round(height_px * scale), min_side_px)
    steps: tuple[Resize | Pad, ...] = (
        Resize(new_width_px, new_height_px, new_width_px / width_px, new_height_px / height_px),
    )
    if new_width_px != new_height_px:
        steps += (Pad((size - new_width_px) // 2, (size - new_height_px) // 2, size, size, fill),)
    return ResizeHistory((width_px, height_px), (size, size), steps)


@dataclass(frozen=True)
class LetterboxResolution:
    """One square tile per picture, its shape kept.

    Attributes:
        image_size: Side of the tile, pixels.
        min_side_px: The shorter edge is never made smaller than this.
    """

    image_size: int
    min_side_px: int = 14

    def __post_init__(self) -> None:
        """Refuse impossible sizes before the first picture comes."""
        _check_sizes(self.image_size, self.min_side_px)

    def plan(self, width_px: int, height_px: int) -> Plan:
        """Return the single tile of the picture."""
        tile = plan_letterbox(width_px, height_px, self.image_size, self.min_side_px)
        return Plan(VisualLayout(height_px=height_px, width_px=width_px), (tile,), tile)


@dataclass(frozen=True)
class HybridResolution:
    """The same picture twice: a large tile for one encoder, and that tile made small for the other.

    Attributes:
        image_size: Side of the small tile, ``pixel_values``.
        high_res_size: Side of the large tile, ``high_res_pixel_values``.
        min_side_px: The shorter edge is never made smaller than this.
        high_res_mean: Mean per channel of the large tile, of values 0..1; also the colour of the padding.
        high_res_std: Standard deviation per channel of the large tile.
        resample: How the large tile becomes the small one.

    Source:
        arXiv:2403.05525 section 3.1; ``DeepseekVLHybridImageProcessor`` of transformers.
    """

    image_size: int
    high_res_size: int = 1024
    min_side_px: int = 14
    high_res_mean: tuple[float, ...] = (0.48145466, 0.4578275, 0.40821073)
    high_res_std: tuple[float, ...] = (0.26862954, 0.26130258, 0.27577711)
    resample: str = "bilinear"
    extra_statistics: Mapping[str, Statistics] = field(init=False)

    def __post_init__(self) -> None:
        """Refuse impossible sizes before the first picture comes; say how the large tile is normalised."""
        _check_sizes(self.image_size, self.min_side_px)
        _check_sizes(self.high_res_size, self.min_side_px)
        statistics = {HIGH_RES: (tuple(self.high_res_mean), tuple(self.high_res_std))}
        object.__setattr__(self, "extra_statistics", statistics)

    def plan(self, width_px: int, height_px: int) -> Plan:
        """Return both tiles of the picture."""
        colour = tuple(int(mean * 255) for mean in self.high_res_mean)
        large = plan_letterbox(width_px, height_px, self.high_res_size, self.min_side_px, colour)
        scale = self.image_size / self.high_res_size
        shrink = Resize(self.image_size, self.image_size, scale, scale, resample=self.resample)
        small = ResizeHistory(large.original_size_px, (self.image_size,) * 2, (*large.steps, shrink))
        layout = VisualLayout(height_px=height_px, width_px=width_px)
        return Plan(layout, (small,), small, {HIGH_RES: (large,)})


def _check_sizes(size: int, min_side_px: int) -> None:
    if not 1 <= min_side_px <= size:
        raise ConfigError(
            f"A tile of {size} px with edges of at least {min_side_px} px is impossible; "
            "set 1 <= min_side_px <= the side of the tile."
        )
