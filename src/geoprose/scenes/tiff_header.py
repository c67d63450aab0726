"""Read the directories of a TIFF without decoding anything, so that sizes are checked before GDAL sees the file."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from geoprose.core.errors import SceneError
from geoprose.scenes.limits import ReadLimits, check_size, refuse_above

if TYPE_CHECKING:
    from pathlib import Path

# Source: TIFF 6.0 specification, section 8; BigTIFF: Aware Systems, "The BigTIFF file format".
_WIDTH, _HEIGHT, _BITS, _BANDS, _ROWS_PER_STRIP, _PLANAR, _TILE_WIDTH, _TILE_HEIGHT = (
    256, 257, 258, 277, 278, 284, 322, 323,
)  # fmt: skip
_TAGS = {_WIDTH, _HEIGHT, _BITS, _BANDS, _ROWS_PER_STRIP, _PLANAR, _TILE_WIDTH, _TILE_HEIGHT}
_FORMATS = {1: "B", 3: "H", 4: "I", 16: "Q"}
_MAX_ENTRIES = 65_535


@dataclass(frozen=True)
class TiffDirectory:
    """One image inside a TIFF: the picture itself, an overview or a mask."""

    width_px: int
    height_px: int
    num_bands: int
    bits: int
    block_width_px: int
    block_height_px: int
    is_band_interleaved: bool

    @property
    def block_bytes(self) -> int:
        """Bytes of one decoded tile or strip; at least one byte a value, as GDAL holds masks of one bit."""
        bands = 1 if self.is_band_interleaved else self.num_bands
        return self.block_width_px * self.block_height_px * bands * max(1, (self.bits + 7) // 8)


def check_tiff(path: Path, limits: ReadLimits) -> list[TiffDirectory]:
    """Read every directory of a TIFF and refuse what exceeds the limits.

    Raises:
        SceneError: If the file ends inside a directory, its directories form a loop, or a limit is exceeded.
    """
    try:
        with path.open("rb") as handle:
            directories = _read_directories(handle, path.name, limits)
    except (struct.error, KeyError, OverflowError) as error:
        raise SceneError(
            f"{path.name} is a TIFF whose directory is cut off or damaged. Copy or download the file again, and check "
            "it with `gdalinfo`."
        ) from error
    for directory in directories:
        size = (directory.width_px, directory.height_px, directory.num_bands)
        check_size(path.name, size, max(1, (directory.bits + 7) // 8), limits)
        advice = "Rewrite it in tiles (`gdal_translate -of COG`), or raise max_block_bytes in ReadLimits."
        refuse_above(directory.block_bytes, limits.max_block_bytes, f"{path.name} has a tile or strip of bytes", advice)
    return directories


def _read_directories(handle: BinaryIO, name: str, limits: ReadLimits) -> list[TiffDirectory]:
    head = handle.read(16)
    order = "<" if head[:2] == b"II" else ">"
    is_big = head[2:4] in (b"+\x00", b"\x00+")
    (offset,) = struct.unpack_from(order + ("Q" if is_big else "I"), head, 8 if is_big else 4)
    seen: set[int] = set()
    directories = []
    while offset:
        if offset in seen:
            raise SceneError(f"{name} is a TIFF whose directories form a loop, so it is not opened.")
        seen.add(offset)
        refuse_above(
            len(seen), limits.max_directories, f"{name} holds a number of images of", "Extract the one you need."
        )
        tags, offset = _read_directory(handle, offset, order, is_big)
        directories.append(_directory(tags))
    if not directories:
        raise SceneError(f"{name} is a TIFF without any image.")
    return directories


def _read_directory(handle: BinaryIO, offset: int, order: str, is_big: bool) -> tuple[dict[int, int], int]:
    """Return the first value of each tag of interest, and the offset of the next directory."""
    count_format, entry_bytes, value_at, next_format = ("Q", 20, 12, "Q") if is_big else ("H", 12, 8, "I")
    handle.seek(offset)
    (entries,) = struct.unpack(order + count_format, handle.read(struct.calcsize(count_format)))
    if entries > _MAX_ENTRIES:
        raise struct.error("too many entries")
    body = handle.read(entries * entry_bytes)
    (next_offset,) = struct.unpack(order + next_format, handle.read(struct.calcsize(next_format)))
    if len(body) < entries * entry_bytes:
        raise struct.error("directory is cut off")
    tags: dict[int, int] = {}
    for start in range(0, len(body), entry_bytes):
        tag, kind = struct.unpack_from(order + "HH", body, start)
        if tag not in _TAGS:
            continue
        value_format = _FORMATS[kind]
        (count,) = struct.unpack_from(order + ("Q" if is_big else "I"), body, start + 4)
        if count * struct.calcsize(value_format) <= entry_bytes - value_at:
            (tags[tag],) = struct.unpack_from(order + value_format, body, start + value_at)
        elif tag == _BITS:  # one value per band, stored elsewhere; libtiff demands that they are equal
            (place,) = struct.unpack_from(order + next_format, body, start + value_at)
            handle.seek(place)
            (tags[tag],) = struct.unpack(order + value_format, handle.read(struct.calcsize(value_format)))
    return tags, int(next_offset)


def _directory(tags: dict[int, int]) -> TiffDirectory:
    width, height = tags[_WIDTH], tags[_HEIGHT]
    return TiffDirectory(
        width_px=width,
        height_px=height,
        num_bands=tags.get(_BANDS, 1),
        bits=tags.get(_BITS, 1),
        block_width_px=tags.get(_TILE_WIDTH, width),
        block_height_px=tags.get(_TILE_HEIGHT, min(tags.get(_ROWS_PER_STRIP, height), height)),
        is_band_interleaved=tags.get(_PLANAR, 1) == 2,
    )
