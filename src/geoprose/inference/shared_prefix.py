"""What requests have in common: those about the same pictures share the tokens up to the last picture, or more."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import torch

from geoprose.core.errors import InputError
from geoprose.core.types import Message
from geoprose.inference.features import image_key, picture_size
from geoprose.processing.prompt import IMAGE_MARK

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from PIL.Image import Image

    from geoprose.processing.processor import ImageTokens
    from geoprose.systems.build import System

MIN_SHARED_TEXT = 16
"""Common tokens behind the last picture that are worth a longer prefix; shorter ones keep prefixes of equal length."""
MAX_PREFIXES = 16
"""Prefixes run together: a processor is busy with fewer, and more only take memory."""
COPY_ROWS = 16
"""Rows decoded together on a CPU where each holds a copy of its prefix: more only move memory."""


class Asks(Protocol):
    """What every request about pictures has."""

    @property
    def images(self) -> tuple[Image | Path, ...]:
        """Pictures in the order of their marks, those of earlier turns first."""

    @property
    def question(self) -> str:
        """The user's last text."""

    @property
    def history(self) -> tuple[Message, ...]:
        """Earlier turns."""


@dataclass
class Row:
    """One prompt among many.

    Attributes:
        index: The request it belongs to.
        prompt_ids: Its tokens behind the shared prefix, at least one.
        answer_ids: What was generated for it.
    """

    index: int
    prompt_ids: list[int]
    answer_ids: list[int] = field(default_factory=list)


@dataclass
class Group:
    """Rows about the same pictures, in the same order: one prefix, many continuations."""

    images: tuple[Image | Path, ...]
    prefix_ids: list[int]
    rows: list[Row]


@dataclass(frozen=True)
class Prompt:
    """The tokens of one request and the pictures they hold."""

    index: int
    images: tuple[Image | Path, ...]
    ids: Sequence[int]


def messages_of(system: System, request: Asks) -> tuple[Message, ...]:
    """Return the conversation up to the question.

    Marks in earlier turns take the first pictures. The question takes the others: where it has a mark for each, behind
    some text, they stay where they are; else the pictures stand in front of it.

    Raises:
        InputError: If earlier turns mark more pictures than there are, or end with the user's.
    """
    earlier = sum(message.text.count(IMAGE_MARK) for message in request.history)
    rest = len(request.images) - earlier
    if rest < 0:
        raise InputError(
            f"The earlier turns mark {earlier} pictures with {IMAGE_MARK} but the request has {len(request.images)}; "
            "give every picture once, in the order of the marks."
        )
    if request.history and request.history[-1].role == "user":
        raise InputError("The earlier turns end with the user's; the question is the user's next turn already.")
    text = request.question.strip()
    before_last = text.rpartition(IMAGE_MARK)[0].replace(IMAGE_MARK, "").strip()
    if not (before_last and text.count(IMAGE_MARK) == rest):
        text = (IMAGE_MARK + system.processor.prompt_format.image_suffix) * rest + text.replace(IMAGE_MARK, "").strip()
    return (*request.history, Message("user", text))


def image_tokens(system: System, images: Sequence[Image | Path]) -> list[ImageTokens]:
    """Return the image tokens that each picture of one sample takes in the text, row by row."""
    processor = system.processor
    plans = processor.image_processor.plan_sample([picture_size(image) for image in images])
    return [processor.image_segments(plan.layout) for plan in plans]


def group_prompts(system: System, prompts: Sequence[Prompt]) -> list[Group]:
    """Group prompts that begin alike, pictures and tokens; groups and rows keep the order of the first mention.

    Equal tokens with another picture are no common beginning: a picture is known by its content (or its path).
    """
    members: dict[tuple[tuple[str, ...], tuple[int, ...]], list[Prompt]] = {}
    for prompt in prompts:
        start = tuple(prompt.ids[: _behind_pictures(system, prompt.ids)])
        members.setdefault((tuple(image_key(image) for image in prompt.images), start), []).append(prompt)
    return [_group(own, len(start)) for (_, start), own in members.items()]


def _behind_pictures(system: System, ids: Sequence[int]) -> int:
    """Return the place behind the last picture and the control tokens that end it; 0 without pictures."""
    image_token: int = system.model.config.image_token_id
    last = max((place for place, token in enumerate(ids) if token == image_token), default=-1)
    if last < 0:
        return 0
    block: list[int] = system.processor.image_block(1)
    return last + len(block) - block.index(image_token)


def _group(prompts: list[Prompt], behind_pictures: int) -> Group:
    """Cut the prompts behind the pictures, or behind the text that all of them have in common as well."""
    shared = min(len(prompt.ids) for prompt in prompts) - 1
    if shared < behind_pictures:
        raise InputError("A prompt ends with its picture, so there is nothing to go on from; give a question.")
    for prompt in prompts[1:]:
        pairs = zip(prompt.ids[:shared], prompts[0].ids, strict=False)
        shared = next((place for place, (mine, first) in enumerate(pairs) if mine != first), shared)
    is_longer = len(prompts) > 1 and shared - behind_pictures >= MIN_SHARED_TEXT
    cut = shared if is_longer else behind_pictures
    rows = [Row(prompt.index, list(prompt.ids[cut:])) for prompt in prompts]
    return Group(prompts[0].images, list(prompts[0].ids[:cut]), rows)


def batches(groups: Sequence[Group], batch_size: int) -> list[list[Group]]:
    """Put groups of equal prefix length together whose rows fit one batch; larger groups stay alone."""
    found: list[list[Group]] = []
    for group in sorted(groups, key=lambda g: len(g.prefix_ids)):
        last = found[-1] if found else []
        has_room = len(last) < MAX_PREFIXES and sum(len(g.rows) for g in last) + len(group.rows) <= batch_size
        if last and has_room and len(last[0].prefix_ids) == len(group.prefix_ids):
            last.append(group)
        else:
            found.append([group])
    return found


def pieces(groups: Sequence[Group], max_rows: int) -> Iterator[tuple[torch.Tensor, list[Row]]]:
    """Cut the rows of a batch into pieces: rows of similar length together, in the order of their groups.

    Yields:
        The group of each row (B,), ascending, and the rows.
    """
    owned = sorted(
        ((place, row) for place, group in enumerate(groups) for row in group.rows),
        key=lambda pair: len(pair[1].prompt_ids),
    )
    for start in range(0, len(owned), max_rows):
        piece = sorted(owned[start : start + max_rows], key=lambda pair: pair[0])
        yield torch.tensor([place for place, _ in piece]), [row for _, row in piece]
