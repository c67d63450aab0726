"""The value that reading gives: pixels, what is valid, and where it lies."""

# ruff: noqa: N815 - arrays carry their shape as a suffix

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from geoprose.core.types import GeoRef


@dataclass(frozen=True)
class Stretch:
    """How values were mapped to 0..1 for viewing, per band: ``(value - low) / (high - low)``, clipped.

    Attributes:
        kind: ``"percentile"``, ``"range"`` (the whole range of the data type) or ``"palette"``.
        low: Value shown as 0, one per band.
        high: Value shown as 1, one per band.
    """

    kind: Literal["percentile", "range", "palette"]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Scene:
    """A chip that was read: pixels and everything needed to place an answer.

    Attributes:
        pixels_CHW: Values, shape (bands, rows, columns), in the file's data type; rendered scenes are float32 in 0..1.
        is_valid_HW: False where the pixel holds no data; shape (rows, columns).
        georef: Where the chip lies; its width and height are those of the pixels.
        bands: Name of each band.
        gsd_m: Metres per pixel along a row and down a column at the chip's centre; None without CRS.
        stretch: How values were mapped to 0..1; None for values as read.
        source: Path of the file.
        palette_NC: Colour of each value of a paletted band, uint8 (values, 4: red, green, blue, alpha); else None.
    """

    pixels_CHW: NDArray[Any]
    is_valid_HW: NDArray[np.bool_]
    georef: GeoRef
    bands: tuple[str, ...]
    gsd_m: tuple[float, float] | None
    stretch: Stretch | None
    source: str
    palette_NC: NDArray[np.uint8] | None = None
