"""Which picture the numbers of a box refer to: the chip, or what the model was given after resizing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from geoprose.core.errors import ConfigError
from geoprose.layout.resize import ResizeHistory

FrameName = Literal["chip", "model"]


Geometry = ResizeHistory | tuple[int, int]
"""The resize history of a picture, or ``(width_px, height_px)`` of a chip that the model sees as it is."""


@dataclass(frozen=True)
class Frame:
    """The picture that the numbers of a box refer to.

    Attributes:
        width_px: Columns of that picture.
        height_px: Rows of that picture.
        history: How it was made from the chip; None when it is the chip.
    """

    width_px: float
    height_px: float
    history: ResizeHistory | None = None

    def from_chip(self, x: float, y: float) -> tuple[float, float]:
        """Map a chip pixel into this picture."""
        return (x, y) if self.history is None else self.history.to_model(x, y)

    def to_chip(self, x: float, y: float) -> tuple[float, float]:
        """Map a pixel of this picture to the chip."""
        return (x, y) if self.history is None else self.history.to_original(x, y)


def make_frame(name: FrameName, geometry: Geometry) -> Frame:
    """Return the picture that ``name`` stands for.

    Args:
        name: ``"chip"`` or ``"model"``.
        geometry: The resize history, or ``(width_px, height_px)`` of a chip that the model sees as it is.

    Raises:
        ConfigError: If a size is not positive.
    """
    if isinstance(geometry, tuple):
        frame = Frame(*geometry)
    elif name == "chip":
        frame = Frame(*geometry.original_size_px)
    else:
        frame = Frame(*geometry.model_size_px, geometry)
    if not (frame.width_px > 0 and frame.height_px > 0):
        raise ConfigError(f"Boxes need a picture of positive size, got {frame.width_px} x {frame.height_px} px.")
    return frame
