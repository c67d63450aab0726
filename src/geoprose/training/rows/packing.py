"""All questions about one picture share its tokens: one row holds the prefix once and then every branch.

A branch sees the prefix and itself, never another branch, and its positions go on from the end of the prefix, so
each answer's loss is what it would be alone. Sixteen questions about an image of 576 tokens are 10.7 times fewer
tokens than sixteen rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from geoprose.core.errors import DataError
from geoprose.data.collator import IGNORED_LABEL, PREFIX_SEGMENT, Row
from geoprose.data.mixture import generator
from geoprose.training.pictures.visuals import FRAMES, MEDIA

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from geoprose.core.types import Message, Sample
    from geoprose.data.mixture import Unit
    from geoprose.processing.processor import ImageTokens

IMAGE_MARK = "<image>"


@dataclass(frozen=True)
class RowOptions:
    """How a unit becomes a row: the stage's ``packing``, ``max_row_tokens`` and ``end_token_share``."""

    share_prefix: bool = False
    max_tokens: int | None = None
    end_token_share: float = 1.0


def shared_question(sample: Sample) -> str | None:
    """Return the question without its leading image marks, or None when the sample cannot share a prefix.

    It can when it is one question and one answer, and all image marks stand at the very start, and nothing but pictures
    comes with it.
    """
    if (
        MEDIA in sample.meta
        or FRAMES in sample.meta
        or len(sample.messages) != 2
        or [m.role for m in sample.messages] != ["user", "assistant"]
    ):
        return None
    text = sample.messages[0].text
    for _ in sample.images:
        if not text.startswith(IMAGE_MARK):
            return None
        text = text.removeprefix(IMAGE_MARK).lstrip("\n")
    return None if IMAGE_MARK in text else text


def prompted(sample: Sample, processor: Any) -> list[Message]:
    """Return a sample's messages with its leading image marks as the system's prompt format writes them.

    Records hold ``<image>`` and a line break (LLaVA's way); a system that is asked with something else behind its
    pictures must learn from that too.
    """
    suffix = processor.prompt_format.image_suffix
    if suffix == "\n":
        return list(sample.messages)
    return [replace(m, text=_with_suffix(m.text, suffix)) if m.role == "user" else m for m in sample.messages]


def _with_suffix(text: str, suffix: str) -> str:
    count, rest = 0, text
    while rest.startswith(IMAGE_MARK):
        count, rest = count + 1, rest.removeprefix(IMAGE_MARK).lstrip("\n")
    return (IMAGE_MARK + suffix) * count + rest if count else text


def pack_shared_prefix(
    prefix_ids: Sequence[int], branches: Sequence[tuple[Sequence[int], Sequence[int]]], max_tokens: int | None = None
) -> Row:
    """Lay a prefix and its branches in one row; with one branch alone the row is a plain one.

    Args:
        prefix_ids: Tokens all branches begin with.
        branches: Token ids and labels of each branch; labels are -100 where nothing is to be learnt.
        max_tokens: A branch that would make the row longer is left out; the first one always stays.

    Raises:
        DataError: If the first token of a branch carries a label: it would have to be predicted by the prefix, once
            for each branch.
    """
    size = len(prefix_ids)
    row = Row(list(prefix_ids), [IGNORED_LABEL] * size, list(range(size)), [PREFIX_SEGMENT] * size)
    number = PREFIX_SEGMENT
    for ids, labels in branches:
        if labels and labels[0] != IGNORED_LABEL:
            raise DataError("The first token of a branch carries a label; it must be part of the question.")
        added = len(ids) - 1
        if max_tokens is not None and number > PREFIX_SEGMENT and len(row.input_ids) + added > max_tokens:
            continue
        number += 1
        row.input_ids.extend(ids[:-1])
        row.next_ids.extend(labels[1:])
        row.position_ids.extend(range(size, size + added))
        row.segments.extend([number] * added)
    if number == PREFIX_SEGMENT + 1:  # one branch behind its prefix is a conversation like any other
        row.segments = [PREFIX_SEGMENT] * len(row.segments)
    return row


def plain_row(input_ids: Sequence[int], labels: Sequence[int]) -> Row:
    """Return a row that is one conversation."""
    size = len(input_ids) - 1
    return Row(list(input_ids[:-1]), list(labels[1:]), list(range(size)), [PREFIX_SEGMENT] * size)


def drop_end_token(branch: tuple[list[int], list[int]]) -> tuple[list[int], list[int]]:
    """Cut the end-of-turn token, and what follows it, off a branch whose answer is one token; others stay whole."""
    ids, labels = branch
    learned = [place for place, label in enumerate(labels) if label != IGNORED_LABEL]
    if len(learned) != 2:
        return branch
    return ids[: learned[0] + 1], labels[: learned[0] + 1]


def encode_unit(
    processor: Any,
    unit: Unit,
    num_tokens_per_image: Sequence[ImageTokens],
    options: RowOptions,
    items: Mapping[str, int] | None = None,
) -> Row:
    """Tokenise one unit: a prefix with a branch a sample, or a plain conversation.

    Args:
        processor: Of the system that trains.
        unit: The samples.
        num_tokens_per_image: Image tokens of each visual.
        options: How the samples share a row.
        items: Inputs of further modalities of a plain conversation.
    """
    questions = [shared_question(sample) if options.share_prefix and unit.images else None for sample in unit.samples]
    if questions[0] is None:
        encoded = processor.encode_conversation(prompted(unit.samples[0], processor), list(num_tokens_per_image), items)
        return plain_row(encoded.input_ids, encoded.labels)
    pairs = [(question, sample.messages[1].text) for question, sample in zip(questions, unit.samples, strict=True)]
    shared = processor.encode_shared_prefix(len(unit.images), pairs, num_tokens_per_image=list(num_tokens_per_image))
    random = generator(*unit.seed)
    keeps_end = random.random(len(pairs)) < options.end_token_share
    branches = [b if keeps else drop_end_token(b) for b, keeps in zip(shared.branches, keeps_end, strict=True)]
    return pack_shared_prefix(shared.prefix_ids, [trim(branch) for branch in branches], options.max_tokens)


def trim(branch: tuple[list[int], list[int]]) -> tuple[list[int], list[int]]:
    """Cut off what follows the last learnt token of a branch: nothing reads it."""
    ids, labels = branch
    last = max((place for place, label in enumerate(labels) if label != IGNORED_LABEL), default=len(ids) - 1)
    return ids[: last + 1], labels[: last + 1]
