"""A conversation as other kits write it, items of text and pictures by turn, as a `Request`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from geoprose.core.errors import InputError
from geoprose.core.types import Message
from geoprose.evaluation.interop.pictures import to_frames, to_picture
from geoprose.inference.generate import Request
from geoprose.processing.prompt import IMAGE_MARK

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from PIL.Image import Image

    from geoprose.core.types import Role

Kind = Literal["text", "image", "video"]


@dataclass(frozen=True)
class Part:
    """One item of a turn.

    Attributes:
        kind: What it is.
        value: The text, or whatever the kit hands over as a picture or a video.
    """

    kind: Kind
    value: Any


@dataclass(frozen=True)
class Turn:
    """What one side said.

    Attributes:
        role: Which side.
        parts: Its items in order.
    """

    role: Role
    parts: tuple[Part, ...]


def to_request(turns: Sequence[Turn], image_suffix: str = "\n", num_frames: int = 8) -> Request:
    """Return what a system is asked.

    Several system turns become one, in front. A video becomes ``num_frames`` pictures at its place. Marks that a text
    itself has count where there is one for each picture of its turn and the pictures stand in front of it, as in
    multi-picture questions that are also given as items; else they are words of a foreign template and are dropped.

    Args:
        turns: The conversation; the last turn is the user's.
        image_suffix: What the system's prompt format writes behind a picture.
        num_frames: Pictures that stand for a video.

    Raises:
        InputError: If there is no turn, or the last one is not the user's: a begun answer cannot be continued.
        DataError: If a picture cannot be read.
    """
    if not turns or turns[-1].role != "user":
        said = turns[-1].role if turns else "nobody"
        raise InputError(f"A conversation must end with a question of the user; this one ends with {said}.")
    pictures: list[Image | Path] = []
    history: list[Message] = []
    system = "\n".join(_write(turn, "", num_frames)[0] for turn in turns if turn.role == "system")
    if system:
        history.append(Message("system", system))
    for turn in [turn for turn in turns if turn.role != "system"]:
        text, shown = _write(turn, image_suffix, num_frames)
        history.append(Message(turn.role, text))
        pictures.extend(shown)
    question = history.pop()
    return Request(tuple(pictures), question.text, tuple(history))


def _write(turn: Turn, image_suffix: str, num_frames: int) -> tuple[str, list[Image | Path]]:
    """Return the text of a turn with a mark where each picture goes, and the pictures."""
    parts, pictures = _shown(turn, num_frames)
    marks = sum(part.value.count(IMAGE_MARK) for part in parts if part.kind == "text")
    kinds = [part.kind for part in parts]
    leads = kinds[: len(pictures)] == ["image"] * len(pictures)
    if pictures and marks == len(pictures) and leads:
        return "\n".join(part.value for part in parts if part.kind == "text").strip(), pictures
    written, before = "", ""
    for part in parts:
        piece = part.value.replace(IMAGE_MARK, "").strip() if part.kind == "text" else IMAGE_MARK + image_suffix
        if piece:
            written += ("\n" if before == "text" else "") + piece
            before = part.kind
    return written.strip(), pictures


def _shown(turn: Turn, num_frames: int) -> tuple[list[Part], list[Image | Path]]:
    """Return the parts with videos as pictures, and all pictures."""
    parts: list[Part] = []
    for part in turn.parts:
        if part.kind == "video":
            parts.extend(Part("image", frame) for frame in to_frames(part.value, num_frames))
        elif part.kind == "image":
            parts.append(Part("image", to_picture(part.value)))
        else:
            parts.append(Part("text", str(part.value)))
    pictures = [part.value for part in parts if part.kind == "image"]
    if pictures and turn.role != "user":
        raise InputError(f"A turn of the {turn.role} holds pictures; only the user can show some.")
    return parts, pictures
