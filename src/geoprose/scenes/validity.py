"""Which pixels hold data: nodata values, NaN, mask bands and alpha bands."""

# ruff: noqa: N803, N806 - arrays carry their shape as a suffix

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from geoprose.scenes.safe_gdal import rasterio

if TYPE_CHECKING:
    from numpy.typing import NDArray

MaskKind = Literal["alpha band", "mask band", "nodata value", "none"]


@dataclass(frozen=True)
class Validity:
    """How a file says which pixels hold data.

    Attributes:
        kind: The strongest statement in the file; an alpha or mask band wins over nodata values, as in GDAL.
        nodata: Nodata value per band, None where a band has none.
        alpha: 1-based number of the alpha band, or None.
    """

    kind: MaskKind
    nodata: tuple[float | None, ...]
    alpha: int | None

    def mask(self, dataset: Any, window: Any, numbers: list[int], pixels_CHW: NDArray[Any]) -> NDArray[np.bool_]:
        """Return where the pixels just read hold data; shape (rows, columns).

        An integer pixel is empty when *all* bands read are nodata, because 0 in one band may be a dark pixel; a
        floating-point pixel when *any* band is nodata, NaN or infinite, because such a value cannot be a measurement.

        Args:
            dataset: The dataset (or overview) the pixels were read from.
            window: rasterio window they were read with.
            numbers: 1-based numbers of the bands read.
            pixels_CHW: Their values.
        """
        if self.kind in ("alpha band", "mask band"):
            source = next((n for n in range(1, len(self.nodata) + 1) if n != self.alpha), 1)
            is_valid_HW = np.asarray(dataset.read_masks(source, window=window) > 0)
        elif self.kind == "nodata value":
            is_valid_HW = self._not_nodata(numbers, pixels_CHW)
        else:
            is_valid_HW = np.ones(pixels_CHW.shape[1:], dtype=np.bool_)
        if np.issubdtype(pixels_CHW.dtype, np.inexact):
            is_valid_HW &= np.isfinite(pixels_CHW).all(axis=0)
        return is_valid_HW

    def _not_nodata(self, numbers: list[int], pixels_CHW: NDArray[Any]) -> NDArray[np.bool_]:
        is_inexact = np.issubdtype(pixels_CHW.dtype, np.inexact)
        is_valid_HW: NDArray[np.bool_] | None = None
        for number, pixels_HW in zip(numbers, pixels_CHW, strict=True):
            value = fitting(self.nodata[number - 1], pixels_CHW.dtype)
            band_HW = pixels_HW != value if value is not None else np.ones(pixels_HW.shape, dtype=np.bool_)
            if is_valid_HW is None:
                is_valid_HW = band_HW
            elif is_inexact:
                is_valid_HW &= band_HW
            else:
                is_valid_HW |= band_HW
        assert is_valid_HW is not None
        return is_valid_HW


def validity_of(dataset: Any) -> Validity:
    """Find how an open dataset says which pixels hold data."""
    flags = {flag for band in dataset.mask_flag_enums for flag in band}
    alpha_colour = rasterio.enums.ColorInterp.alpha
    alpha = next((n for n, colour in enumerate(dataset.colorinterp, 1) if colour == alpha_colour), None)
    kind: MaskKind = "none"
    if alpha is not None and dataset.count > 1:
        kind = "alpha band"
    elif rasterio.enums.MaskFlags.per_dataset in flags:
        kind = "mask band"
    elif any(value is not None for value in dataset.nodatavals):
        kind = "nodata value"
    return Validity(kind, tuple(dataset.nodatavals), alpha if dataset.count > 1 else None)


def fitting(nodata: float | None, dtype: np.dtype[Any]) -> Any:
    """Return the nodata value in the data type, or None when there is none or the type cannot hold it."""
    if nodata is None:
        return None
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        is_held = np.isfinite(nodata) and limits.min <= nodata <= limits.max and float(nodata).is_integer()
        return dtype.type(nodata) if is_held else None
    with np.errstate(over="ignore"):
        return dtype.type(nodata)
