"""Read the two global rasters and prove that they lie on the same grid."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geoprose.core.errors import DataError, SceneError
from geoprose.core.gdal_doors import close_doors
from geoprose.data.world.classes import class_index, igbp_lookup

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from rasterio.io import DatasetReader

MAX_GLOBE_PX = 100_000_000
MAX_SHIFT_PX = 2
MIN_ALIGNMENT = 0.5
"""Correlation of the water mask with blue pixels below which the rasters are refused; the real pair has 0.98."""


@dataclass(frozen=True)
class Alignment:
    """How well the labels' water lies on the picture's blue.

    Attributes:
        correlation: Phi coefficient of the two masks as they are.
        best_shift_px: ``(columns, rows)`` by which the labels would have to move to correlate best.
        best_correlation: The coefficient at that shift.
        flipped_correlation: The coefficient with the labels upside down; far lower, since rows run north to south.
    """

    correlation: float
    best_shift_px: tuple[int, int]
    best_correlation: float
    flipped_correlation: float


def read_globe(path: Path) -> NDArray[np.uint8]:
    """Read a global picture that covers 180 W to 180 E and 90 N to 90 S.

    Shapes:
        Returns ``(height, width, 3)``.

    Raises:
        SceneError: If the file cannot be decoded or is not twice as wide as high.
    """
    from PIL import Image

    try:
        with Image.open(path, formats=("JPEG", "PNG")) as picture:
            width_px, height_px = picture.size
            if width_px != 2 * height_px or width_px * height_px > MAX_GLOBE_PX:
                raise SceneError(
                    f"{path.name} is {width_px}x{height_px} px; a global picture is twice as wide as high "
                    f"and has at most {MAX_GLOBE_PX} pixels. Give the Blue Marble of the asset 'blue-marble'."
                )
            return np.asarray(picture.convert("RGB"))
    except (OSError, SyntaxError) as error:
        raise SceneError(f"{path.name} cannot be decoded as a JPEG or PNG picture: {error}") from error


def read_labels(path: Path, height_px: int, width_px: int) -> NDArray[np.uint8]:
    """Read the land cover and bring it to the picture's grid by nearest neighbour.

    Nearest, not an average: a class code has no mean.

    Shapes:
        Returns ``(height_px, width_px)`` class indices, `UNLABELLED` elsewhere.

    Raises:
        SceneError: If the file cannot be read.
        DataError: If it is not a global north-up raster of one byte per pixel.
    """
    close_doors()
    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", NotGeoreferencedWarning
            )  # the extent is checked below, with a clearer message
            dataset = rasterio.open(path, driver="GTiff")
        with dataset:
            _check_global(dataset, path.name)
            codes_HW: NDArray[np.uint8] = dataset.read(1)
    except RasterioError as error:
        raise SceneError(f"{path.name} cannot be read as a GeoTIFF: {error}") from error
    rows = ((np.arange(height_px) + 0.5) * codes_HW.shape[0] / height_px).astype(np.int64)
    columns = ((np.arange(width_px) + 0.5) * codes_HW.shape[1] / width_px).astype(np.int64)
    labels_HW: NDArray[np.uint8] = igbp_lookup()[codes_HW][rows][:, columns]
    return labels_HW


def _check_global(dataset: DatasetReader, name: str) -> None:
    bounds, transform = dataset.bounds, dataset.transform
    extent = (bounds.left, bounds.bottom, bounds.right, bounds.top)
    is_north_up = transform.b == 0 and transform.d == 0 and transform.e < 0
    if not is_north_up or not np.allclose(extent, (-180, -90, 180, 90), atol=1e-6) or dataset.dtypes[0] != "uint8":
        raise DataError(
            f"{name} has extent {extent} and type {dataset.dtypes[0]}; the land cover must be one byte per pixel, "
            "north-up, from 180 W to 180 E and 90 S to 90 N. Give the raster of the asset 'modis-land-cover-2019'."
        )


def measure_alignment(picture_HWC: NDArray[np.uint8], labels_HW: NDArray[np.uint8]) -> Alignment:
    """Correlate the water of the labels with the blue of the picture, at small shifts and upside down.

    The middle two thirds of the latitudes are used: polar ice is neither blue nor water.
    """
    height_px = labels_HW.shape[0]
    middle = slice(height_px // 6, height_px - height_px // 6)
    red, green, blue = (picture_HWC[middle, :, band].astype(np.int16) for band in range(3))
    is_blue = (blue > red) & (blue > green)
    is_water = labels_HW == class_index("water")
    shifts = [
        (dx, dy) for dy in range(-MAX_SHIFT_PX, MAX_SHIFT_PX + 1) for dx in range(-MAX_SHIFT_PX, MAX_SHIFT_PX + 1)
    ]
    at_shift = {(dx, dy): _phi(is_blue, np.roll(is_water, (dy, dx), (0, 1))[middle]) for dx, dy in shifts}
    best = max(at_shift, key=lambda shift: (at_shift[shift], -abs(shift[0]) - abs(shift[1])))
    return Alignment(at_shift[0, 0], best, at_shift[best], _phi(is_blue, is_water[::-1][middle]))


def check_alignment(alignment: Alignment) -> None:
    """Refuse a pair of rasters that do not show the same globe.

    Raises:
        DataError: If the masks hardly correlate, or correlate better upside down or one pixel away.
    """
    found = (
        f"correlation of water with blue {alignment.correlation:.3f}, upside down {alignment.flipped_correlation:.3f}, "
        f"best shift {alignment.best_shift_px} with {alignment.best_correlation:.3f}"
    )
    if alignment.flipped_correlation >= alignment.correlation:
        raise DataError(f"The picture and the land cover run in opposite directions: {found}. Flip one of them.")
    if alignment.correlation < MIN_ALIGNMENT or alignment.best_shift_px != (0, 0):
        raise DataError(f"The picture and the land cover do not lie on the same grid: {found}.")


def _phi(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Return the phi coefficient (Pearson correlation of two masks); 0 when either is constant."""
    total = float(a.size)
    p_a, p_b, p_ab = (float(np.count_nonzero(mask)) / total for mask in (a, b, a & b))
    spread = p_a * (1 - p_a) * p_b * (1 - p_b)
    return (p_ab - p_a * p_b) / spread**0.5 if spread > 0 else 0.0
