"""Decode a picture completely, once, and say what it holds: the basis of the image checks."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image, UnidentifiedImageError

from geoprose.core.errors import GeoproseError

if TYPE_CHECKING:
    from pathlib import Path

MAX_PIXELS = 200_000_000
"""Larger pictures are reported, not decoded."""

_RASTER_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"\0\0\0\x0cjP  ")
"""TIFF, BigTIFF and JPEG 2000 in both byte orders: what the raster reader knows beyond Pillow."""

_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")


@dataclass(frozen=True)
class ImageFacts:
    """What decoding a picture gave.

    Attributes:
        width_px: Columns.
        height_px: Rows.
        digest: SHA-256 of the decoded pixels, so that another file format or other metadata does not hide a copy.
    """

    width_px: int
    height_px: int
    digest: str


def inspect_image(path: Path) -> ImageFacts:
    """Decode every pixel of ``path``.

    Raises:
        ValueError: If it is not a picture, is truncated, or is too large; the message is one clause.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # a faulty file is reported below; what Pillow thinks of its tags is not needed
            with Image.open(path, formats=_FORMATS) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise ValueError(f"{picture.width} x {picture.height} px is more than {MAX_PIXELS} pixels")
                picture.load()
                return ImageFacts(picture.width, picture.height, _digest(picture.mode, picture.size, picture.tobytes()))
    except UnidentifiedImageError as error:
        if not _is_raster(path):
            raise ValueError("it is not a picture that can be identified") from error
        return _inspect_raster(path)
    except (Image.DecompressionBombError, OSError, SyntaxError, EOFError, MemoryError) as error:
        raise ValueError(str(error) or type(error).__name__) from error


def _is_raster(path: Path) -> bool:
    with path.open("rb") as handle:
        return handle.read(12).startswith(_RASTER_MAGIC)


def _inspect_raster(path: Path) -> ImageFacts:
    """Read what Pillow does not know (16-bit or many-band GeoTIFF) through the safe raster reader."""
    from geoprose.scenes.open import open_scene

    try:
        with open_scene(path) as scene:
            pixels_CHW = scene.read().pixels_CHW
            size = (scene.width_px, scene.height_px)
    except (GeoproseError, OSError) as error:
        raise ValueError(str(error)) from error
    return ImageFacts(*size, _digest(str(pixels_CHW.dtype), size, pixels_CHW.tobytes()))


def _digest(mode: str, size: tuple[int, int], content: bytes) -> str:
    digest = hashlib.sha256(f"{mode} {size}".encode())
    digest.update(content)
    return digest.hexdigest()
