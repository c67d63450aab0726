"""Which values a mask holds."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from geoprose.core.errors import DataError
from geoprose.data.inspect_image import MAX_PIXELS

if TYPE_CHECKING:
    from pathlib import Path


def mask_values(path: Path) -> dict[int, int]:
    """Return each value of a mask with one channel of whole numbers, and the pixels that hold it.

    Raises:
        DataError: If the file is missing, not a picture, too large, or has several channels.
    """
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its size is checked below
            with Image.open(path) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise DataError(f"{path} has more than {MAX_PIXELS} pixels, so it is not read as a mask.")
                values_HW = np.asarray(picture.convert("L") if picture.mode in ("1", "RGB", "RGBA") else picture)
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as a mask: {error}") from error
    if values_HW.ndim != 2:
        raise DataError(f"{path} has {values_HW.ndim} dimensions; a mask has one channel of whole numbers.")
    values, counts = np.unique(values_HW, return_counts=True)
    return {int(value): int(count) for value, count in zip(values, counts, strict=True)}
