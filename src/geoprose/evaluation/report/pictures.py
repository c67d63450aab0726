"""Small pictures for the page, with a limit on their total size, and the boxes drawn over them."""

from __future__ import annotations

import base64
import io
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geoprose.answers.codecs import parse_answer
from geoprose.answers.corners import box_corners
from geoprose.layout.resize import plan_resize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from PIL.Image import Image

SIDE_PX = 320
SMALL_PX = 128
"""A picture with no longer side is kept as it is, without loss, and enlarged by the browser."""
MAX_TOTAL_BYTES = 6_000_000
MAX_PIXELS = 40_000_000
"""Larger files are whole scenes; drawing a thumbnail of one would read gigabytes."""
MAX_BOXES = 60


@dataclass(frozen=True)
class Thumbnail:
    """One picture of a card.

    Attributes:
        uri: Data URI; empty when the picture cannot be shown.
        why_not: Why it cannot be shown.
        width_px: Columns of the picture itself.
        height_px: Rows of the picture itself.
        is_small: Whether the browser should enlarge it without smoothing.
        polygons: Outlines as (``predicted``, ``reference`` or ``region``; points of an SVG polygon), in pixels.
    """

    uri: str = ""
    why_not: str = ""
    width_px: int = 1
    height_px: int = 1
    is_small: bool = False
    polygons: tuple[tuple[str, str], ...] = ()


class PictureBudget:
    """Makes thumbnails until their total size is spent; each file is read once.

    Args:
        data_dir: Folder that paths are relative to; None when it is unknown.
        max_bytes: Most bytes that all thumbnails may have together.
    """

    def __init__(self, data_dir: Path | None, max_bytes: int = MAX_TOTAL_BYTES) -> None:
        self._data_dir = data_dir
        self._left = max_bytes
        self._known: dict[str, Thumbnail] = {}
        self.num_refused = 0

    def thumbnail(self, image: str) -> Thumbnail:
        """Return the thumbnail of a picture, or why there is none."""
        if image not in self._known:
            self._known[image] = self._make(image)
        found = self._known[image]
        self.num_refused += not found.uri
        return found

    def _make(self, image: str) -> Thumbnail:
        if self._data_dir is None:
            return Thumbnail(why_not="picture not at hand: give --data")
        # Why not resolve links: data folders are often links to where the pictures really lie.
        path = self._data_dir / image
        if (path.is_absolute() and not path.is_relative_to(self._data_dir)) or ".." in Path(image).parts:
            return Thumbnail(why_not="path leaves the data folder")
        if not path.is_file():
            return Thumbnail(why_not="picture not found")
        if self._left <= 0:
            return Thumbnail(why_not="left out: the page's limit on pictures is reached")
        from PIL.Image import DecompressionBombError

        try:
            return self._encode(path)
        except (OSError, ValueError, SyntaxError, DecompressionBombError):
            return Thumbnail(why_not="picture cannot be read")

    def _encode(self, path: Path) -> Thumbnail:
        from PIL import Image as PillowImage

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PillowImage.DecompressionBombWarning)  # MAX_PIXELS is stricter
            opened = PillowImage.open(path)
        with opened:
            width, height = opened.size
            if width * height > MAX_PIXELS:
                return Thumbnail(why_not=f"left out: {width} x {height} pixels")
            opened.draft("RGB", (2 * SIDE_PX, 2 * SIDE_PX))
            is_small = max(width, height) <= SMALL_PX
            content = _as_png(opened) if is_small else _as_jpeg(opened)
        self._left -= len(content)
        kind = "image/png" if is_small else "image/jpeg"
        uri = f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
        return Thumbnail(uri, "", width, height, is_small)


def _as_png(picture: Image) -> bytes:
    buffer = io.BytesIO()
    _eight_bit(picture).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _as_jpeg(picture: Image) -> bytes:
    small = _eight_bit(picture)
    small.thumbnail((SIDE_PX, SIDE_PX))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=78, optimize=True)
    return buffer.getvalue()


def _eight_bit(picture: Image) -> Image:
    """Return the picture as RGB; 16-bit and float ones are stretched from their smallest to their largest value."""
    if picture.mode in ("I", "F") or picture.mode.startswith("I;"):
        import numpy as np
        from PIL import Image as PillowImage

        values = np.nan_to_num(np.asarray(picture, dtype=np.float64))
        low, high = float(values.min()), float(values.max())
        stretched = (values - low) / (high - low) * 255 if high > low else values * 0
        return PillowImage.fromarray(stretched.astype(np.uint8)).convert("RGB")
    return picture.convert("RGB")


def outlines(
    answer: str, reference: str, drawing: Mapping[str, Any], reading: Mapping[str, Any], size_px: tuple[int, int]
) -> tuple[tuple[str, str], ...]:
    """Return the boxes of an answer, of the reference and of the question as polygons in pixels of the picture.

    Args:
        answer: Raw text of the system.
        reference: The right answer as text, for references that are not in ``drawing``.
        drawing: ``boxes`` and ``region`` in pixels, ``size_px``.
        reading: ``codec``, ``reference_codec``, ``mode`` and ``model_px`` of the system's resize; each may be absent.
        size_px: Size of the picture file, used where ``drawing`` has none.
    """
    given = drawing.get("size_px")
    width, height = (int(given[0]), int(given[1])) if isinstance(given, list) and len(given) == 2 else size_px
    found = [("region", points) for points in _from_numbers([drawing.get("region")])]
    boxes = drawing.get("boxes")
    if isinstance(boxes, list):
        found += [("reference", points) for points in _from_numbers(boxes)]
    elif reading.get("reference_codec"):
        found += [("reference", one) for one in _from_text(reference, reading["reference_codec"], (width, height))]
    if found and reading.get("codec"):
        geometry: Any = (width, height)
        if reading.get("mode") and reading.get("model_px"):
            geometry = plan_resize(width, height, reading["mode"], reading["model_px"])
        found += [("predicted", points) for points in _from_text(answer, reading["codec"], geometry)]
    scale = size_px[0] / width, size_px[1] / height
    return tuple((kind, _points(points, scale)) for kind, points in found[:MAX_BOXES])


def _from_text(text: str, codec: str, geometry: Any) -> list[Sequence[tuple[float, float]]]:
    return [box_corners(box) for box in parse_answer(text, codec, geometry).boxes]


def _from_numbers(boxes: Sequence[Any]) -> list[Sequence[tuple[float, float]]]:
    found: list[Sequence[tuple[float, float]]] = []
    for box in boxes:
        if not isinstance(box, list) or not all(isinstance(value, int | float) for value in box):
            continue
        if len(box) == 4:
            left, top, right, bottom = box
            found.append([(left, top), (right, top), (right, bottom), (left, bottom)])
        elif len(box) >= 6 and len(box) % 2 == 0:
            found.append(list(zip(box[0::2], box[1::2], strict=True)))
    return found


def _points(points: Sequence[tuple[float, float]], scale: tuple[float, float]) -> str:
    return " ".join(f"{x * scale[0]:.1f},{y * scale[1]:.1f}" for x, y in points)
