"""Turn and mirror pictures, and everything that a sample says about places and directions with them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from geoprose.core.types import Message
from geoprose.evaluation.diagnostics.place import (
    CannotMoveError,
    moved_box,
    moved_meta,
    size_of,
    spelled,
    split_boxes,
)
from geoprose.evaluation.diagnostics.turn_words import turned_words

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geoprose.core.types import JsonValue, Sample
    from geoprose.evaluation.diagnostics.place import Size

KEPT_KEYS = frozenset(
    (
        *("gsd_m", "box_labels", "difficult", "size_group", "is_unique", "mask", "mask_value", "answer_index", "group"),
        *("category", "negatives", "objects", "is_changed", "count", "tolerance", "captions_of", "domain"),
        *(
            "duration_group",
            "turn_of",
            "turn",
            "boxes",
            "region",
            "polygons",
            "size_px",
            "answers",
            "options",
            "phrase",
        ),
    )
)
"""Keys of the meta that are moved, turned, or do not depend on how the picture lies; others would be wrong and go."""


@dataclass(frozen=True)
class Turn:
    """A picture mirrored left to right, or not, and then turned counter-clockwise by quarters.

    Attributes:
        quarters: Quarter turns, counter-clockwise as seen.
        is_mirrored: Whether left and right are exchanged first.
    """

    quarters: int
    is_mirrored: bool = False

    def picture(self, pixels_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the turned picture or mask."""
        mirrored = np.fliplr(pixels_HW) if self.is_mirrored else pixels_HW
        return np.ascontiguousarray(np.rot90(mirrored, self.quarters))

    def change(self, pixels_HW: NDArray[np.uint8], _: np.random.Generator) -> NDArray[np.uint8]:
        """Return the turned picture; see ``picture``."""
        return self.picture(pixels_HW)

    def direction(self, x: int, y: int) -> tuple[int, int]:
        """Return where something points after the turn that pointed to ``(x, y)``, x right and y down."""
        if self.is_mirrored:
            x = -x
        for _ in range(self.quarters % 4):
            x, y = y, -x
        return x, y

    def size(self, size_px: Size) -> Size:
        """Return width and height after the turn."""
        return size_px if self.quarters % 2 == 0 else (size_px[1], size_px[0])

    def point(self, x: float, y: float, size_px: Size) -> tuple[float, float]:
        """Return where a point goes, pixels."""
        width, height = float(size_px[0]), float(size_px[1])
        if self.is_mirrored:
            x = width - x
        for _ in range(self.quarters % 4):
            x, y = y, width - x
            width, height = height, width
        return x, y


TURNS = {
    "rotate-90": Turn(1),
    "rotate-180": Turn(2),
    "rotate-270": Turn(3),
    "flip-left-right": Turn(0, is_mirrored=True),
    "flip-top-bottom": Turn(2, is_mirrored=True),
}
"""The turns by name; rotations are counter-clockwise, in degrees."""


def turned(sample: Sample, turn: Turn, codec: str) -> Sample:
    """Return the sample as it must read when its pictures are turned.

    Words for sides and compass directions and boxes are turned in every message, answer, option and phrase.

    Args:
        sample: The sample; north is taken to be at the top of its pictures.
        turn: What happens to the pictures.
        codec: Box format of its texts.

    Raises:
        CannotMoveError: If a text cannot be turned, with the reason.
    """
    size = size_of(sample)

    def retold(text: str) -> str:
        return turned_text(text, turn, codec, size)

    meta = {key: value for key, value in moved_meta(sample, turn).items() if key in KEPT_KEYS}
    for key in ("answers", "options"):
        if isinstance(listed := meta.get(key), list):
            meta[key] = [retold(str(one)) if isinstance(one, str) else one for one in listed]
    if isinstance(phrase := meta.get("phrase"), str):
        meta["phrase"] = retold(phrase)
    messages = tuple(Message(message.role, retold(message.text)) for message in sample.messages)
    found: dict[str, JsonValue] = meta
    return replace(sample, messages=messages, meta=found, georefs=())


def turned_text(text: str, turn: Turn, codec: str, size_px: Size | None) -> str:
    """Return a text with its direction words and its boxes turned.

    Raises:
        CannotMoveError: If that cannot be done.
    """
    parts = []
    for part in split_boxes(text, codec, size_px):
        if isinstance(part, str):
            parts.append(turned_words(part, turn.direction))
        elif size_px is None:
            raise CannotMoveError(f"The size of the picture is unknown, so the box in {text[:60]!r} cannot be turned.")
        else:
            parts.append(spelled(moved_box(part, turn, size_px), codec, turn.size(size_px)))
    return "".join(parts)
