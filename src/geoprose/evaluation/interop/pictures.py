"""What other kits hand over as a picture or a video, as what a system takes: PIL images and paths of files."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlparse

from PIL import Image

from geoprose.core.errors import DataError, InputError, ResourceError

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF")
"""Containers that are opened; PIL's other readers see no foreign bytes."""


def to_picture(value: Any) -> Picture | Path:
    """Return a picture, or the path of its file.

    Args:
        value: A PIL image, a path, a ``file:`` or ``data:`` address, an array (H, W, 3) of bytes, or a mapping with
            ``bytes`` or ``path`` as Hugging Face data sets hold undecoded pictures.

    Raises:
        InputError: If it is none of these, or an address of the network.
        DataError: If the file is missing or the bytes are no picture.
    """
    if isinstance(value, Image.Image):
        return value
    if isinstance(value, Path):
        return _existing(value)
    if isinstance(value, str):
        return _of_text(value)
    if isinstance(value, bytes | bytearray):
        return _decode(bytes(value))
    if isinstance(value, Mapping) and (value.get("bytes") or value.get("path")):
        return _decode(value["bytes"]) if value.get("bytes") else to_picture(value["path"])
    if getattr(value, "ndim", 0) == 3 and value.shape[-1] == 3 and str(value.dtype) == "uint8":
        return Image.fromarray(value)
    raise InputError(
        f"{type(value).__name__} is not a picture that can be shown: give a PIL image, a path, or bytes of "
        f"{', '.join(FORMATS)}."
    )


def to_frames(value: Any, num_frames: int) -> list[Picture | Path]:
    """Return ``num_frames`` pictures of a video, evenly from its first to its last frame; all where it has fewer.

    Args:
        value: A list or an array of frames, a folder of frames whose names sort in time, or a video file.
        num_frames: Pictures to show, at least 1.

    Raises:
        InputError: If ``num_frames`` is not positive, or the video has no frame.
        ResourceError: If it is a file and PyAV, which decodes it, is not installed.
        DataError: If a frame or the file cannot be read.
    """
    if num_frames < 1:
        raise InputError(f"num_frames ({num_frames}) must be at least 1.")
    if isinstance(value, str | Path):
        path = _existing(Path(str(value).removeprefix("file://")))
        if path.is_file():
            return _decode_video(path, num_frames)
        value = sorted(child for child in path.iterdir() if child.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp"))
    is_listed = isinstance(value, Sequence) or getattr(value, "ndim", 0) == 4
    if not is_listed or not len(value):
        raise InputError(f"A video of {type(value).__name__} has no frames to show; give its frames as a list.")
    return [to_picture(value[place]) for place in even_places(len(value), num_frames)]


def even_places(total: int, count: int) -> list[int]:
    """Return ``count`` places out of ``total``, the first and the last among them; all where there are fewer.

    A single place is the middle one.
    """
    if count >= total:
        return list(range(total))
    if count == 1:
        return [total // 2]
    return [round(number * (total - 1) / (count - 1)) for number in range(count)]


def _of_text(value: str) -> Picture | Path:
    if value.startswith("data:"):
        head, _, body = value.partition(",")
        if not head.endswith(";base64"):
            raise InputError("A picture in a data: address must be base64.")
        try:
            return _decode(base64.b64decode(body, validate=True))
        except binascii.Error as error:
            raise DataError(f"A picture in a data: address is not base64: {error}.") from error
    if value.startswith("file://"):
        return _existing(Path(unquote(urlparse(value).path)))
    if "://" in value:
        raise InputError(f"{value[:80]} is an address of the network, which is not opened. Download the picture first.")
    return _existing(Path(value))


def _existing(path: Path) -> Path:
    if not path.exists():
        raise DataError(f"{path} does not exist. Check where the benchmark unpacked its pictures.")
    return path


def _decode(raw: bytes) -> Picture:
    try:
        picture = Image.open(io.BytesIO(raw), formats=FORMATS)
        picture.load()
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{len(raw)} bytes that should be a picture cannot be read: {error}.") from error
    return picture


def _decode_video(path: Path, num_frames: int) -> list[Picture | Path]:
    """Read a file twice: once to count its frames, since headers lie, and once to keep the chosen ones."""
    try:
        import av  # type: ignore[import-not-found,unused-ignore]  # optional; lmms-eval brings it
    except ImportError as error:
        raise ResourceError(
            f"{path.name} is a video file, and PyAV, which decodes it, is not installed. `pip install av`, or give the "
            "frames as pictures."
        ) from error
    try:
        with av.open(str(path)) as container:
            total = sum(1 for _ in container.decode(video=0))
        if not total:
            raise InputError(f"{path.name} has no frames to show.")
        chosen = set(even_places(total, num_frames))
        with av.open(str(path)) as container:
            return [frame.to_image() for place, frame in enumerate(container.decode(video=0)) if place in chosen]
    except (av.FFmpegError, IndexError) as error:
        raise DataError(f"The video {path.name} cannot be read: {error}.") from error
