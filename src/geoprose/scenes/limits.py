"""Limits that refuse a hostile file by arithmetic, before anything is decoded."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from geoprose.core.errors import SceneError

MIB = 1 << 20


@dataclass(frozen=True)
class ReadLimits:
    """What a scene may cost. Every limit can be raised for files you trust: ``open_scene(path, ReadLimits(...))``.

    Attributes:
        max_side_px: Width and height of the scene.
        max_declared_bytes: Width times height times bands times bytes per value, as declared (nothing is allocated).
        max_bands: Bands of the scene.
        max_block_bytes: One tile or strip, decoded; the decoder must hold it whole.
        max_read_blocks: Tiles or strips that one read decodes.
        max_read_bytes: Bytes that one read decodes, and that it returns.
        max_picture_px: Pixels of a PNG, JPEG or WebP, whose decoders may hold the whole picture.
        max_directories: Images inside one TIFF (overviews and masks).
        max_seconds: Wall time of one read, checked between blocks of rows: it bounds how long a slow or sparse file
            keeps decoding, but it cannot interrupt the decoder inside one call, which the limits on block bytes keep
            short. A server should add a killable process around it.
    """

    max_side_px: int = 1_000_000
    max_declared_bytes: int = 1 << 40
    max_bands: int = 512
    max_block_bytes: int = 64 * MIB
    max_read_blocks: int = 100_000
    max_read_bytes: int = 4096 * MIB
    max_picture_px: int = 40_000_000
    max_directories: int = 256
    max_seconds: float = 30.0


@dataclass(frozen=True)
class Deadline:
    """The wall time of one read.

    Attributes:
        name: File name, for the message.
        seconds: Time allowed from now.
    """

    name: str
    seconds: float
    started: float = field(default_factory=time.monotonic)

    def check(self) -> None:
        """Raise SceneError when the time is over."""
        if time.monotonic() - self.started > self.seconds:
            raise SceneError(
                f"Reading {self.name} took longer than {self.seconds:g} s and was stopped. Read a smaller window, "
                "build overviews (`gdaladdo`), or raise ReadLimits(max_seconds=...)."
            )


def refuse_above(value: float, limit: float, what: str, advice: str) -> None:
    """Raise SceneError when ``value`` is above ``limit``.

    Args:
        value: The figure found.
        limit: The figure allowed.
        what: Sentence start naming file and quantity, e.g. ``"a.tif has a width of"``.
        advice: What the user can do.
    """
    if value > limit:
        raise SceneError(f"{what} {value:,}, above the limit of {limit:,}. {advice}")


def check_size(name: str, size: tuple[int, int, int], item_bytes: int, limits: ReadLimits) -> None:
    """Refuse impossible or excessive declared sizes.

    Args:
        name: File name, for the message.
        size: ``(width_px, height_px, bands)``.
        item_bytes: Bytes of one value.
        limits: What is allowed.

    Raises:
        SceneError: If a limit is exceeded.
    """
    width, height, bands = size
    trust = "If you trust the file, raise {} in ReadLimits."
    refuse_above(max(width, height), limits.max_side_px, f"{name} has a side in pixels of", trust.format("max_side_px"))
    refuse_above(bands, limits.max_bands, f"{name} has a number of bands of", trust.format("max_bands"))
    declared = width * height * bands * item_bytes
    advice = trust.format("max_declared_bytes")
    refuse_above(declared, limits.max_declared_bytes, f"{name} declares a number of bytes of", advice)
    if min(width, height, bands) < 1:
        raise SceneError(f"{name} declares {width} x {height} pixels and {bands} bands; there is nothing to read.")
