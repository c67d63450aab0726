"""Value types that cross folder boundaries.

Pixel coordinates are edges with the origin at the top-left corner of the chip: x to the right, y down. The pixel
in column 0 spans x from 0 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]
Role = Literal["system", "user", "assistant"]
ParseStatus = Literal["ok", "no_boxes", "unparsable"]


@dataclass(frozen=True)
class GeoRef:
    """Where the pixels of a chip lie: the affine transform and the CRS ride along as one value.

    Attributes:
        transform: ``(a, b, c, d, e, f)``: ``x_map = a * x_px + b * y_px + c``, ``y_map = d * x_px + e * y_px + f``.
        crs: Authority string such as ``"EPSG:32631"``, or WKT2; None when the chip is not georeferenced.
        width_px: Columns of the chip.
        height_px: Rows of the chip.
    """

    transform: tuple[float, float, float, float, float, float]
    crs: str | None
    width_px: int
    height_px: int


@dataclass(frozen=True)
class Box:
    """A box in chip pixels: the unrotated box about its centre, and its rotation.

    Attributes:
        x_min: Left edge of the unrotated box, pixels.
        y_min: Top edge, pixels.
        x_max: Right edge, pixels.
        y_max: Bottom edge, pixels.
        angle_deg: Rotation about the centre, degrees counter-clockwise as seen on the picture; 0 is axis-aligned.
        label: What the box shows.
        score: Confidence from 0 to 1, or None when the model gave none.
        span: Start and end of the characters in the answer's text that this box was read from.
    """

    x_min: float
    y_min: float
    x_max: float
    y_max: float
    angle_deg: float = 0.0
    label: str = ""
    score: float | None = None
    span: tuple[int, int] | None = None


@dataclass(frozen=True)
class Message:
    """One turn of a conversation; ``<image>`` in the text marks where each picture goes."""

    role: Role
    text: str


@dataclass(frozen=True)
class Sample:
    """The neutral record that every reader makes and every writer takes.

    Attributes:
        id: Unique within its file.
        images: Image paths relative to the dataset's root, in the order of the ``<image>`` marks.
        messages: The conversation.
        task: Question type, e.g. ``"presence"``.
        split: ``"train"``, ``"val"``, ``"test"`` or empty.
        georefs: One per image, None where the image has no georeference.
        meta: Anything else that must survive a round trip (GSD, source, answers accepted, ...), JSON values only.
    """

    id: str
    images: tuple[str, ...]
    messages: tuple[Message, ...]
    task: str = ""
    split: str = ""
    georefs: tuple[GeoRef | None, ...] = ()
    meta: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """What a model said about a chip, parsed; boxes are in chip pixels.

    Attributes:
        text: The generated text, unchanged.
        boxes: Boxes read from the text.
        status: ``"ok"`` (boxes read), ``"no_boxes"`` (plain text) or ``"unparsable"`` (something like a box that could
            not be read).
        problems: One sentence per thing that could not be read or had to be corrected.
    """

    text: str
    boxes: tuple[Box, ...] = ()
    status: ParseStatus = "no_boxes"
    problems: tuple[str, ...] = ()
