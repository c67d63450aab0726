"""Which driver opens a file: decided by its path and its first bytes, never guessed by GDAL."""

from __future__ import annotations

import os
import re
from pathlib import Path

from geoprose.core.errors import SceneError

GEOTIFF = "GTiff"
PICTURE_DRIVERS = {"PNG": "PNG", "JPEG": "JPEG", "WEBP": "WEBP"}
"""GDAL driver of the pictures without georeference, and Pillow's name of the format."""

_MAGIC = (
    (b"II*\x00", GEOTIFF),
    (b"MM\x00*", GEOTIFF),
    (b"II+\x00", GEOTIFF),  # BigTIFF
    (b"MM\x00+", GEOTIFF),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "JP2OpenJPEG"),
    (b"\xff\x4f\xff\x51", "JP2OpenJPEG"),  # bare codestream
)
_VIRTUAL = re.compile(r"[/\\]+vsi")
_KNOWN = "GeoTIFF or COG, JPEG 2000, PNG, JPEG or WebP"


def checked_path(path: str | os.PathLike[str]) -> Path:
    """Return the absolute path of a local regular file; refuse anything that GDAL would read as something else.

    Raises:
        SceneError: If the file is missing, not a regular file, or the text is an address or a GDAL virtual path.
    """
    text = os.fspath(path)
    if "\x00" in text or "://" in text or _VIRTUAL.match(text):
        raise SceneError(
            f"{text[:120]!r} is not the path of a local file. Addresses and GDAL's virtual paths are never opened; "
            "download the scene first and give its path."
        )
    try:
        resolved = Path(text).expanduser().resolve()
        is_file = resolved.is_file()
    except (OSError, RuntimeError, ValueError) as error:
        raise SceneError(f"{text[:120]!r} cannot be a path on this machine: {error}.") from error
    if not is_file:
        what = "is not a regular file" if resolved.exists() else "does not exist"
        raise SceneError(f"{text[:200]} {what}. Give the path of one raster file ({_KNOWN}).")
    # Contract: the absolute path starts with / (or a drive letter), so it is no `GTIFF_DIR:1:` or `MEM:::` connection.
    if _VIRTUAL.match(str(resolved)):
        raise SceneError(f"{resolved} starts like a GDAL virtual path, so it is not opened. Move the file elsewhere.")
    return resolved


def sniff_driver(path: Path) -> str:
    """Return the GDAL driver for the file's first bytes.

    Raises:
        SceneError: If the bytes are those of no accepted format, whatever the file is called.
    """
    try:
        with path.open("rb") as handle:
            head = handle.read(32)
    except OSError as error:
        raise SceneError(f"{path.name} cannot be read: {error.strerror}. Check its permissions.") from error
    for magic, driver in _MAGIC:
        if head.startswith(magic):
            return driver
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    what = "is empty" if not head else "starts like XML (a VRT, WMS or similar recipe)" if _is_xml(head) else ""
    raise SceneError(
        f"{path.name} {what or 'has the first bytes of no accepted format'}, so it is not opened. "
        f"Accepted: {_KNOWN}; convert others with `gdal_translate -of COG`."
    )


def _is_xml(head: bytes) -> bool:
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
