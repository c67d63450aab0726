"""Parse and write boxes in every published format. The table below is the list of formats."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from geoprose.answers.frames import Geometry, make_frame
from geoprose.answers.grammar import Problem
from geoprose.core.registry import Registry
from geoprose.core.types import Answer, Box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.answers.codec import BoxCodec

MAX_ANSWER_CHARACTERS = 200_000
"""Longer answers are cut before boxes are looked for, and the cut is reported."""

BOX_CODECS: Registry[BoxCodec] = Registry(
    slot="box_codec",
    table={
        "geoprose": "geoprose.answers.formats.house:GEOPROSE",
        "digits": "geoprose.answers.formats.digits:DIGITS",
        "geochat": "geoprose.answers.formats.geochat:GEOCHAT",
        "geochat_unrotated_at_90": "geoprose.answers.formats.geochat:GEOCHAT_UNROTATED_AT_90",
        "vrsbench": "geoprose.answers.formats.vrsbench:VRSBENCH",
        "vrsbench_obb_v1": "geoprose.answers.formats.vrsbench:VRSBENCH_OBB_V1",
        "vrsbench_obb_v2": "geoprose.answers.formats.vrsbench:VRSBENCH_OBB_V2",
        "earthdial": "geoprose.answers.formats.earthdial:EARTHDIAL",
        "qwen_vl": "geoprose.answers.formats.qwen_vl:QWEN_VL",
        "qwen2_vl": "geoprose.answers.formats.qwen_vl:QWEN2_VL",
        "qwen2_5_vl": "geoprose.answers.formats.qwen_json:QWEN2_5_VL",
        "qwen3_vl": "geoprose.answers.formats.qwen_json:QWEN3_VL",
        "internvl": "geoprose.answers.formats.internvl:INTERNVL",
        "unit": "geoprose.answers.formats.plain:UNIT",
        "earthgpt": "geoprose.answers.formats.plain:EARTHGPT",
        "teochat": "geoprose.answers.formats.plain:TEOCHAT",
        "vhm": "geoprose.answers.formats.plain:VHM",
        "geoai": "geoprose.answers.formats.plain:GEOAI",
    },
)

# Only spellings that leave no doubt about the scale; a bare list or a bbox_2d could be of several formats.
_UNMISTAKABLE = (
    (re.compile(r"\{\s*<\s*[-0-9]"), "geochat"),
    (re.compile(r"<box>\s*\("), "qwen_vl"),
    (re.compile(r"<\|box_start\|>"), "qwen2_vl"),
    (re.compile(r"</ref>\s*<box>\s*\[\["), "internvl"),
)


def get_codec(codec: str | BoxCodec) -> BoxCodec:
    """Return a codec by name; a codec is returned as it is.

    Raises:
        ConfigError: If the name is unknown; the message lists close names.
    """
    return BOX_CODECS.get(codec) if isinstance(codec, str) else codec


def read_boxes(text: str, codec: str | BoxCodec, geometry: Geometry) -> tuple[list[Box], list[Problem]]:
    """Read every box of ``text`` into chip pixels, with the problems as typed values.

    Args:
        text: Generated text; any text is accepted.
        codec: A codec, or its name in ``BOX_CODECS``.
        geometry: The resize history of the picture, or ``(width_px, height_px)`` of the chip.
    """
    chosen = get_codec(codec)
    boxes, problems = chosen.read(text[:MAX_ANSWER_CHARACTERS], make_frame(chosen.frame, geometry))
    if len(text) > MAX_ANSWER_CHARACTERS:
        problems.append(
            Problem("unreadable", f"Only the first {MAX_ANSWER_CHARACTERS} characters were read for boxes.")
        )
    return boxes, problems


def parse_answer(text: str, codec: str | BoxCodec, geometry: Geometry) -> Answer:
    """Turn generated text into an Answer; never raises because of the text.

    Args:
        text: Generated text.
        codec: A codec, or its name in ``BOX_CODECS``.
        geometry: The resize history of the picture, or ``(width_px, height_px)`` of the chip.

    Returns:
        Status ``"ok"`` when at least one box was read, ``"unparsable"`` when something looks like a box and none could
        be read, else ``"no_boxes"``. Boxes are in chip pixels and not clipped to the chip.

    Raises:
        ConfigError: If the codec is unknown or the picture has no size.
    """
    boxes, problems = read_boxes(text, codec, geometry)
    status: Literal["ok", "no_boxes", "unparsable"] = "ok" if boxes else "unparsable" if problems else "no_boxes"
    return Answer(text, tuple(boxes), status, tuple(problem.message for problem in problems))


def format_boxes(
    boxes: Sequence[Box],
    codec: str | BoxCodec,
    geometry: Geometry,
    rotated: Literal["error", "hull"] = "error",
) -> str:
    """Spell boxes given in chip pixels.

    An axis-aligned box is cut to the visible part of the picture. Scores are not written: no published format has them.
    Labels are written where the format has a place for them, without the characters that the format uses itself.

    Args:
        boxes: Boxes in chip pixels.
        codec: A codec, or its name in ``BOX_CODECS``.
        geometry: The resize history of the picture, or ``(width_px, height_px)`` of the chip.
        rotated: What to do with a rotated box where the format has no angle: refuse it, or write the box around it.

    Raises:
        DataError: If a box lies outside the picture, is not finite, or is rotated and the format cannot say so.
        ConfigError: If the codec is unknown or the picture has no size.
    """
    chosen = get_codec(codec)
    return chosen.write(boxes, make_frame(chosen.frame, geometry), rotated)


def guess_codec(text: str) -> str | None:
    """Return the name of the codec that ``text`` is unmistakably written in, else None."""
    for pattern, name in _UNMISTAKABLE:
        if pattern.search(text):
            return name
    return None
