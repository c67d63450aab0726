"""How the pixels of a chip become the pixels of a tile, and the way back.

A plan is a chain of steps. Coordinates are edges with the origin at the top-left corner, so a resize multiplies
and a pad or crop adds; half-pixel centres never enter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from geoprose.core.errors import ConfigError, ProcessingError

ResizeMode = Literal["resize", "pad", "center_crop"]
Fill = Literal["mean", "black", "white", "one"]
RESIZE_MODES: tuple[ResizeMode, ...] = ("resize", "pad", "center_crop")


@dataclass(frozen=True)
class Resize:
    """Resample the picture to ``width_px`` by ``height_px``.

    Attributes:
        width_px: Columns after the step.
        height_px: Rows after the step.
        scale_x: Columns after divided by columns before.
        scale_y: Rows after divided by rows before.
        antialias: False interpolates between the four nearest pixels per axis, bicubic, on normalised floats, even
            where the picture shrinks (Phi-3-Vision's global view); such a step must be the last.
        resample: Filter of this step, where it is not the processor's: ``"bilinear"``, ``"bicubic"`` and so on.
    """

    width_px: int
    height_px: int
    scale_x: float
    scale_y: float
    antialias: bool = True
    resample: str | None = None

    def forward(self, x: float, y: float) -> tuple[float, float]:
        """Map a point from before the step to after it."""
        return x * self.scale_x, y * self.scale_y

    def inverse(self, x: float, y: float) -> tuple[float, float]:
        """Map a point from after the step to before it."""
        return x / self.scale_x, y / self.scale_y


@dataclass(frozen=True)
class Pad:
    """Place the picture ``left_px``, ``top_px`` inside a canvas of ``width_px`` by ``height_px``.

    ``fill`` is the canvas's colour: the ``"mean"`` of the normalisation, ``"black"``, ``"white"``,
    ``"one"``, the value 1 of 255 (Fuyu), or red, green and blue from 0 to 255.
    """

    left_px: int
    top_px: int
    width_px: int
    height_px: int
    fill: Fill | tuple[int, ...] = "mean"

    def forward(self, x: float, y: float) -> tuple[float, float]:
        """Map a point from before the step to after it."""
        return x + self.left_px, y + self.top_px

    def inverse(self, x: float, y: float) -> tuple[float, float]:
        """Map a point from after the step to before it."""
        return x - self.left_px, y - self.top_px


@dataclass(frozen=True)
class Crop:
    """Keep the window of ``width_px`` by ``height_px`` whose corner is at ``left_px``, ``top_px``."""

    left_px: int
    top_px: int
    width_px: int
    height_px: int

    def forward(self, x: float, y: float) -> tuple[float, float]:
        """Map a point from before the step to after it."""
        return x - self.left_px, y - self.top_px

    def inverse(self, x: float, y: float) -> tuple[float, float]:
        """Map a point from after the step to before it."""
        return x + self.left_px, y + self.top_px


@dataclass(frozen=True)
class Transpose:
    """Swap rows and columns."""

    def forward(self, x: float, y: float) -> tuple[float, float]:
        """Map a point from before the step to after it."""
        return y, x

    def inverse(self, x: float, y: float) -> tuple[float, float]:
        """Map a point from after the step to before it."""
        return y, x


Step = Resize | Pad | Crop | Transpose


@dataclass(frozen=True)
class ResizeHistory:
    """What happened to a chip on its way into the model.

    Attributes:
        original_size_px: Width and height of the chip.
        model_size_px: Width and height of the tile given to the vision encoder.
        steps: The steps in the order they are applied.
    """

    original_size_px: tuple[int, int]
    model_size_px: tuple[int, int]
    steps: tuple[Step, ...] = ()

    def to_model(self, x: float, y: float) -> tuple[float, float]:
        """Map chip pixels to tile pixels; points that a crop cut away lie outside the tile."""
        for step in self.steps:
            x, y = step.forward(x, y)
        return x, y

    def to_original(self, x: float, y: float) -> tuple[float, float]:
        """Map tile pixels to chip pixels; points on padding lie outside the chip."""
        for step in reversed(self.steps):
            x, y = step.inverse(x, y)
        return x, y


def _resize(width_px: int, height_px: int, new_width_px: int, new_height_px: int) -> Resize:
    return Resize(new_width_px, new_height_px, new_width_px / width_px, new_height_px / height_px)


def plan_resize(width_px: int, height_px: int, mode: str, size: int) -> ResizeHistory:
    """Plan how a chip becomes one square tile.

    Args:
        width_px: Columns of the chip.
        height_px: Rows of the chip.
        mode: ``"resize"`` stretches to the square, ``"pad"`` first pads to a square about the centre (LLaVA-1.5),
            ``"center_crop"`` brings the shorter edge to ``size`` and keeps the centre (GeoChat, CLIP).
        size: Side of the tile in pixels.

    Returns:
        The plan; applying its steps in order gives a tile of ``size`` by ``size``.

    Raises:
        ProcessingError: If the chip has no pixels.
        ConfigError: If ``mode`` or ``size`` cannot be used.
    """
    if width_px < 1 or height_px < 1:
        raise ProcessingError(f"A picture of {width_px}x{height_px} px has no pixels; give one of at least 1x1 px.")
    if size < 1:
        raise ConfigError(f"A tile side of {size} px is impossible; set image_size to a positive number of pixels.")
    if mode == "resize":
        steps: tuple[Step, ...] = (_resize(width_px, height_px, size, size),)
    elif mode == "pad":
        steps = _pad_steps(width_px, height_px, size)
    elif mode == "center_crop":
        steps = _center_crop_steps(width_px, height_px, size)
    else:
        raise ConfigError(f"Unknown resize mode {mode!r}. Known: {', '.join(RESIZE_MODES)}.")
    return ResizeHistory((width_px, height_px), (size, size), steps)


def _pad_steps(width_px: int, height_px: int, size: int) -> tuple[Step, ...]:
    # Source: expand2square of haotian-liu/LLaVA llava/mm_utils.py; the odd pixel goes to the right or bottom.
    side = max(width_px, height_px)
    pad = Pad((side - width_px) // 2, (side - height_px) // 2, side, side)
    return pad, _resize(side, side, size, size)


def _center_crop_steps(width_px: int, height_px: int, size: int) -> tuple[Step, ...]:
    # Source: get_resize_output_image_size and center_crop of transformers; the longer edge is truncated, not rounded.
    if width_px <= height_px:
        new_width_px, new_height_px = size, int(size * height_px / width_px)
    else:
        new_width_px, new_height_px = int(size * width_px / height_px), size
    crop = Crop((new_width_px - size) // 2, (new_height_px - size) // 2, size, size)
    return _resize(width_px, height_px, new_width_px, new_height_px), crop
