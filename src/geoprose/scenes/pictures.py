"""Checks of PNG, JPEG and WebP through Pillow: size, one frame, no warnings; nothing is decoded."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from PIL import Image

from geoprose.core.errors import SceneError
from geoprose.scenes.limits import ReadLimits, refuse_above

if TYPE_CHECKING:
    from pathlib import Path


def check_picture(path: Path, picture_format: str, size: tuple[int, int], limits: ReadLimits) -> None:
    """Refuse pictures that are too large, hold several frames, or make Pillow warn.

    Args:
        path: The file.
        picture_format: Pillow's name of the only format tried.
        size: Width and height that GDAL read from the header.
        limits: What is allowed.

    Raises:
        SceneError: If the picture is refused.
    """
    advice = "Convert it to a tiled GeoTIFF (`gdal_translate -of COG`), or raise max_picture_px in ReadLimits."
    refuse_above(size[0] * size[1], limits.max_picture_px, f"{path.name} has a number of pixels of", advice)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Image.open(path, formats=[picture_format]) as picture:
                num_frames = int(getattr(picture, "n_frames", 1)) if picture_format != "JPEG" else 1
                found = picture.size
                picture.verify()  # the checksums of a PNG, to its end: GDAL takes a truncated one for complete
    except (OSError, ValueError, SyntaxError, Warning, Image.DecompressionBombError) as error:
        raise SceneError(f"{path.name} is refused as a {picture_format} picture: {str(error)[:200]}.") from error
    if num_frames != 1:
        raise SceneError(f"{path.name} holds {num_frames} frames (an animation); save the one you need by itself.")
    if found != size:
        raise SceneError(f"{path.name} declares two sizes, {found} and {size}, so it is not opened.")
