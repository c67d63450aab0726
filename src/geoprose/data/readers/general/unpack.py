"""Pictures that lie inside tables are unpacked once, so that a sample can name a file.

They go to ``.geoprose/pictures/`` below the data set's folder, under the hash of their content: nothing of the table
becomes part of a path, a picture that many questions share is one file, and a second reading writes nothing.
"""

from __future__ import annotations

import ast
import base64
import binascii
import hashlib
import io
import logging
import warnings
from typing import TYPE_CHECKING

from geoprose.core.errors import DataError
from geoprose.core.files import write_bytes
from geoprose.data.readers.files import join
from geoprose.data.records import fail
from geoprose.scenes.limits import ReadLimits

if TYPE_CHECKING:
    from pathlib import Path

    from PIL.Image import Image

logger = logging.getLogger(__name__)
FOLDER = ".geoprose/pictures"
MAX_PICTURE_BYTES = 64 << 20
"""Largest picture in a table, encoded."""

MAX_PICTURE_PX = ReadLimits.max_picture_px
ENDINGS = {"PNG": ".png", "JPEG": ".jpg", "MPO": ".jpg", "WEBP": ".webp", "TIFF": ".tif"}
"""Formats that are written as they are."""

OTHERS = ("GIF", "BMP")
"""Formats that are written as PNG, of an animation the first frame."""

_FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", *OTHERS)
_SNIFFED = ((b"\x89PNG", ".png"), (b"\xff\xd8\xff", ".jpg"), (b"GIF8", ".png"), (b"BM", ".png"),
            (b"II*\x00", ".tif"), (b"MM\x00*", ".tif"), (b"RIFF", ".webp"))  # fmt: skip


class Unpacker:
    """Writes pictures of tables below a data set's folder.

    Args:
        root: Folder of the data set.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._has_said = False

    def place(self, content: bytes, where: str) -> str:
        """Write a picture unless it is there, and return its path relative to the root.

        Args:
            content: A picture file.
            where: Place in the table, for the message of an error.

        Raises:
            DataError: If it is too large, no picture of a known format, broken, or the folder cannot be written.
        """
        if len(content) > MAX_PICTURE_BYTES:
            fail(where, f"its picture has {len(content)} bytes, and at most {MAX_PICTURE_BYTES} are unpacked")
        ending = next((ending for start, ending in _SNIFFED if content.startswith(start)), "")
        if not ending:
            fail(where, "its picture is none of PNG, JPEG, WebP, TIFF, GIF, BMP")
        name = join(FOLDER, hashlib.sha256(content).hexdigest()[:32] + ending)
        if not (self._root / name).is_file():  # written atomically under the hash of its content, so it is whole
            self._write(name, _checked(content, where))
        return name

    def place_base64(self, text: str, where: str) -> str:
        """Write a picture in base64, as `place` does.

        Raises:
            DataError: As `place`, or if it is no base64.
        """
        try:
            content = base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError) as error:
            fail(where, f"its picture is not base64: {error}")
        return self.place(content, where)

    def _write(self, name: str, content: bytes) -> None:
        if not self._has_said:
            logger.info("pictures inside the tables are unpacked to %s", self._root / FOLDER)
            self._has_said = True
        try:
            write_bytes(self._root / name, content)
        except OSError as error:
            raise DataError(
                f"{self._root / FOLDER} cannot be written ({error.strerror}); pictures that lie inside tables are "
                "unpacked there once. Make the folder writable, or copy the data set."
            ) from error


def _checked(content: bytes, where: str) -> bytes:
    """Return the file to write; nothing is decoded but formats that must be converted."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Image.open(io.BytesIO(content), formats=_FORMATS) as picture:
                if picture.width * picture.height > MAX_PICTURE_PX:
                    fail(where, f"its picture has {picture.width} x {picture.height} pixels, above {MAX_PICTURE_PX}")
                if picture.format not in ENDINGS:
                    return _as_png(picture)
                picture.verify()
    except (OSError, ValueError, SyntaxError, Warning, Image.DecompressionBombError) as error:
        if isinstance(error, DataError):
            raise
        fail(where, f"its picture is broken: {str(error)[:200]}")
    return content


def _as_png(picture: Image) -> bytes:
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, format="PNG")
    return buffer.getvalue()


def listed(text: str, where: str) -> list[str]:
    """Return the texts of a list that a table holds as text, ``"['a', 'b']"``; a text that is no list by itself.

    Raises:
        DataError: If it begins like a list and is none of texts and numbers.
    """
    stripped = text.strip()
    if not (stripped.startswith("[") and stripped.endswith("]")):
        return [text]
    try:
        values = ast.literal_eval(stripped)
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise DataError(f"{where}: {stripped[:60]!r} begins like a list and is none. Correct it.") from error
    if not isinstance(values, list) or not all(isinstance(value, str | int | float) for value in values):
        fail(where, f"{stripped[:60]!r} is not a list of texts")
    return [str(value) for value in values]
