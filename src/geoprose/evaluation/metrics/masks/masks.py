"""Masks of a picture: from files, outlines and run lengths to pixels, and the counts that every mask metric needs.

Rule: a pixel belongs to an outline when its centre lies inside (GDAL's rasteriser without "all touched"). Outlines of
one mask are united.
"""

# H, W rows and columns of the picture

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from geoprose.core.errors import DataError
from geoprose.core.gdal_doors import close_doors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MASK_FORMATS = ("PNG", "TIFF", "BMP", "GIF")
MASK_SUFFIXES = (".png", ".tif", ".tiff", ".bmp", ".gif")
"""Formats without loss: the edges of a JPEG mask are not the mask's."""
MAX_PIXELS = 200_000_000
Mask = np.ndarray[tuple[int, int], np.dtype[np.bool_]]


class Counts(NamedTuple):
    """Pixels of one picture: predicted and wanted, only predicted, only wanted, neither."""

    both: int
    only_predicted: int
    only_reference: int
    neither: int

    @property
    def iou(self) -> float:
        """Intersection over union; 1 when both masks are empty."""
        union = self.both + self.only_predicted + self.only_reference
        return self.both / union if union else 1.0

    @property
    def f1(self) -> float:
        """F1 of the pixels, which is the Dice coefficient; 1 when both masks are empty."""
        total = 2 * self.both + self.only_predicted + self.only_reference
        return 2 * self.both / total if total else 1.0


def count_pixels(predicted_HW: Mask, reference_HW: Mask) -> Counts:
    """Count the pixels of two masks of the same shape."""
    both = int(np.count_nonzero(predicted_HW & reference_HW))
    predicted, reference = int(np.count_nonzero(predicted_HW)), int(np.count_nonzero(reference_HW))
    return Counts(both, predicted - both, reference - both, reference_HW.size - predicted - reference + both)


def read_mask_file(path: Path, value: int | None = None) -> Mask:
    """Read a mask picture: 0 is background, anything else is the object.

    Args:
        path: The picture.
        value: The value of the object's pixels, in a map of classes; None for "anything but 0".

    Raises:
        DataError: If the file is missing, not a picture without loss, or too large.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=MASK_FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise DataError(f"The mask {path.name} has more than {MAX_PIXELS:,} pixels. Cut it into tiles.")
            # Why not convert("L"): a palette of classes would become grey values, and class 1 may be black.
            values = np.asarray(picture)
    except FileNotFoundError as error:
        raise DataError(f"The mask {path.name} does not exist in {path.parent.name}. Check the paths.") from error
    except (UnidentifiedImageError, OSError) as error:
        kinds = ", ".join(MASK_FORMATS)
        raise DataError(f"The mask {path.name} cannot be read as {kinds}: {error}. Save it again as PNG.") from error
    if values.ndim == 3:
        values = values[..., :3].max(axis=2)
    mask: Mask = np.not_equal(values, 0) if value is None else np.equal(values, value)
    return mask


def rasterise(outlines: Sequence[Sequence[float]], size_px: tuple[int, int]) -> Mask:
    """Return the pixels whose centre lies inside any of the outlines.

    Args:
        outlines: Each ``x1, y1, x2, y2, ...`` in pixels, at least three corners.
        size_px: Width and height of the picture.
    """
    from affine import Affine

    close_doors()  # before GDAL starts
    from rasterio.features import rasterize

    width, height = size_px
    rings = [np.reshape(outline, (-1, 2)).tolist() for outline in outlines]
    shapes = [{"type": "Polygon", "coordinates": [[*ring, ring[0]]]} for ring in rings]
    if not shapes:
        return np.zeros((height, width), dtype=np.bool_)
    filled = rasterize(shapes, out_shape=(height, width), transform=Affine.identity(), dtype="uint8")
    mask: Mask = filled != 0
    return mask


def decode_rle(counts: str | Sequence[int], size_hw: tuple[int, int]) -> Mask:
    """Return the mask of COCO's run lengths, plain or compressed: columns first, background first.

    Raises:
        DataError: If the runs are broken or do not fill the picture.

    Source:
        cocoapi maskApi.c (rleFrString: 5 bits a character, from character 48 on, differences to the run before last).
    """
    runs = _runs_of_text(counts) if isinstance(counts, str) else [int(run) for run in counts]
    height, width = size_hw
    if sum(runs) != height * width or any(run < 0 for run in runs):
        raise DataError(f"Run lengths sum to {sum(runs)}, and a mask of {width} x {height} px has {height * width}.")
    values = np.arange(len(runs)) % 2 == 1
    mask: Mask = np.repeat(values, runs).reshape(width, height).T
    return mask


def _runs_of_text(text: str) -> list[int]:
    runs: list[int] = []
    place = 0
    while place < len(text):
        value = shift = 0
        is_more = True
        while is_more:
            if place >= len(text) or not 48 <= ord(text[place]) < 112:
                raise DataError("Compressed run lengths are cut or hold a character that is none of COCO's.")
            bits = ord(text[place]) - 48
            value |= (bits & 0x1F) << (5 * shift)
            is_more = bool(bits & 0x20)
            place, shift = place + 1, shift + 1
            if not is_more and bits & 0x10:
                value -= 1 << (5 * shift)
        runs.append(value + runs[-2] if len(runs) > 2 else value)
    return runs
