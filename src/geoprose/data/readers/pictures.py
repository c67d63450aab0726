"""Find the pictures of a data set and their sizes; nothing but a header is ever read here."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from geoprose.core.errors import DataError, GeoproseError
from geoprose.data.readers.base import fail_missing
from geoprose.data.readers.files import join

if TYPE_CHECKING:
    from pathlib import Path

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp")
"""Endings of the files that count as pictures."""

MAX_FILES = 5_000_000
"""Most files that one folder is listed for."""


def picture_size(path: Path) -> tuple[int, int]:
    """Return width and height in pixels from the file's header.

    Raises:
        DataError: If the file is missing or not a picture.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a large picture is not decoded here, and odd tags do not matter
            with Image.open(path) as picture:
                return picture.width, picture.height
    except FileNotFoundError as error:
        raise DataError(
            f"{path} does not exist, so its size is unknown. Download the pictures of the data set."
        ) from error
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError):
        return _raster_size(path)


def _raster_size(path: Path) -> tuple[int, int]:
    from geoprose.scenes.open import open_scene

    try:
        with open_scene(path) as scene:
            return scene.width_px, scene.height_px
    except (GeoproseError, OSError) as error:
        raise DataError(f"{path} is not a picture that can be identified: {error}") from error


def list_pictures(root: Path, folder: str, layout: str) -> list[str]:
    """Return the pictures directly in ``folder``, as sorted paths relative to ``root``.

    Raises:
        DataError: If the folder is missing.
    """
    if not (root / folder).is_dir():
        fail_missing(root, f"the folder {folder}", layout)
    names = [path.name for path in (root / folder).iterdir() if path.suffix.lower() in SUFFIXES]
    if len(names) > MAX_FILES:
        raise DataError(f"{root / folder} holds more than {MAX_FILES} pictures. Split it into several folders.")
    return [join(folder, name) for name in sorted(names)]


class PictureFinder:
    """Finds pictures by name where the annotations leave the ending out, or name another one.

    Args:
        root: Folder of the data set.
        folder: Folder of the pictures below it.
        layout: What to download, for the message when a picture is missing.
    """

    def __init__(self, root: Path, folder: str, layout: str) -> None:
        self._root, self._folder, self._layout = root, folder, layout
        self._by_stem: dict[str, str] | None = None

    def find(self, name: str) -> str:
        """Return the path of a picture relative to the root.

        Raises:
            DataError: If there is no such picture.
        """
        if (self._root / self._folder / name).is_file():
            return join(self._folder, name)
        if self._by_stem is None:
            listed = list_pictures(self._root, self._folder, self._layout)
            self._by_stem = {_stem(path.rsplit("/", 1)[-1]): path for path in listed}
        found = self._by_stem.get(_stem(name))
        if found is None:
            fail_missing(self._root, join(self._folder, name), self._layout)
        return found


def _stem(name: str) -> str:
    base, dot, ending = name.rpartition(".")
    return base if dot and f".{ending.lower()}" in SUFFIXES else name
