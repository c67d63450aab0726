"""Read the pictures of a data set; the ones that cannot be read are counted and named, within a limit."""

from __future__ import annotations

import hashlib
import io
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from geoprose.core.errors import DataError, GeoproseError

if TYPE_CHECKING:
    from collections.abc import Container, Iterable
    from pathlib import Path

    from PIL.Image import Image

logger = logging.getLogger(__name__)

_PICTURE_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp"}
_NAMED_IN_MESSAGE = 5


def read_picture(path: Path) -> Image:
    """Return the RGB picture of a file: common picture formats directly, anything else as a scene.

    Raises:
        DataError: If the file is missing or damaged.
    """
    from PIL import Image

    try:
        if path.suffix.lower() in _PICTURE_SUFFIXES:
            with Image.open(io.BytesIO(path.read_bytes())) as picture:
                return picture.convert("RGB")
        from geoprose.scenes.read import read_scene
        from geoprose.scenes.render import render_rgb, to_picture

        return to_picture(render_rgb(read_scene(path)))
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist. Is the data directory complete?") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, GeoproseError) as error:
        raise DataError(f"{path} cannot be read as a picture: {error}") from error


def picture_size(path: Path) -> tuple[int, int]:
    """Return width and height of a picture in pixels; of common formats only the header is read.

    Raises:
        DataError: If the file is missing or damaged.
    """
    from PIL import Image

    if path.suffix.lower() not in _PICTURE_SUFFIXES:
        return read_picture(path).size
    try:
        with Image.open(path) as picture:
            return picture.size
    except FileNotFoundError as error:
        raise DataError(f"{path} does not exist. Is the data directory complete?") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as a picture: {error}") from error


@dataclass(frozen=True)
class ImageScan:
    """Result of looking at every image once.

    Attributes:
        digests: Path to the SHA-256 of the file.
        unreadable: Path to the reason.
        sizes: Path to width and height, pixels.
    """

    digests: dict[Path, str]
    unreadable: dict[Path, str]
    sizes: dict[Path, tuple[int, int]] = field(default_factory=dict)


def scan_images(paths: Iterable[Path], max_unreadable_fraction: float, decoded: Container[str] = ()) -> ImageScan:
    """Decode every image once.

    Args:
        paths: Images; each is looked at once.
        max_unreadable_fraction: Above this share the data is considered broken.
        decoded: SHA-256 of files that have been decoded before; of those only the header is read.

    Raises:
        DataError: If more images than allowed cannot be read; the first ones are named.
    """
    digests: dict[Path, str] = {}
    unreadable: dict[Path, str] = {}
    sizes: dict[Path, tuple[int, int]] = {}
    for path in dict.fromkeys(paths):
        try:
            digest = _digest(path)
            sizes[path] = picture_size(path) if digest in decoded else read_picture(path).size
            digests[path] = digest
        except DataError as error:
            unreadable[path] = str(error)
            logger.warning("skipped: %s", error)
    total = len(digests) + len(unreadable)
    if unreadable and len(unreadable) > max_unreadable_fraction * total:
        named = "\n  ".join(list(unreadable.values())[:_NAMED_IN_MESSAGE])
        raise DataError(
            f"{len(unreadable)} of {total} images cannot be read, more than image_policy.max_unreadable_fraction = "
            f"{max_unreadable_fraction} allows:\n  {named}\nRepair the data, or raise the limit to train without them."
        )
    return ImageScan(digests, unreadable, sizes)


def _digest(path: Path) -> str:
    """Return the SHA-256 of a file; empty where it cannot be read, which ``read_picture`` then says."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
