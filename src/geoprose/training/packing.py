"""All questions about one picture share its tokens: one row holds the prefix once and then every branch.

A branch sees the prefix and itself, never another branch, and its positions go on from the end of the prefix, so
each answer's loss is what it would be alone. Sixteen questions about an image of 576 tokens are 10.7 times fewer
tokens than sixteen rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from geoprose.core.errors import DataError
from geoprose.data.collator import PREFIX_SEGMENT, Row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.core.types import Sample
    from geoprose.data.mixture import Unit

IMAGE_MARK = "<image>"


def shared_question(sample: Sample) -> str | None:
    """Return the question without its leading image marks, or None when the sample cannot share a prefix.

    It can when it is one question and one answer, and all image marks stand at the very start.
    """
    if len(sample.messages) != 2 or [m.role for m in sample.messages] != ["user", "assistant"]:
        return None
    text = sample.messages[0].text
    for _ in sample.images:
        if not text.startswith(IMAGE_MARK):
            return None
        text = text.removeprefix(IMAGE_MARK).lstrip("\n")
    return None if IMAGE_MARK in text else text


def pack_shared_prefix(prefix_ids: Sequence[int], branches: Sequence[tuple[Sequence[int], Sequence[int]]]) -> Row:
    """Lay a prefix and its branches in one row.

    Args:
        prefix_ids: Tokens all branches begin with.
        branches: Token ids and labels of each branch; labels are -100 where nothing is to be learnt.

    Raises:
        DataError: If the first token of a branch carries a label: it would have to be predicted by the prefix, once
            for each branch.
    """
    row = Row(
        list(prefix_ids), [-100] * len(prefix_ids), list(range(len(prefix_ids))), [PREFIX_SEGMENT] * len(prefix_ids)
    )
    for number, (ids, labels) in enumerate(branches, start=PREFIX_SEGMENT + 1):
        if labels and labels[0] != -100:
            raise DataError("The first token of a branch carries a label; it must be part of the question.")
        row.input_ids.extend(ids)
        row.labels.extend(labels)
        row.position_ids.extend(range(len(prefix_ids), len(prefix_ids) + len(ids)))
        row.segments.extend([number] * len(ids))
    return row


def plain_row(input_ids: Sequence[int], labels: Sequence[int]) -> Row:
    """Return a row that is one conversation."""
    return Row(list(input_ids), list(labels), list(range(len(input_ids))), [PREFIX_SEGMENT] * len(input_ids))


def encode_unit(processor: Any, unit: Unit, num_tokens_per_image: Sequence[int], share_prefix: bool) -> Row:
    """Tokenise one unit: a prefix with a branch a sample, or a plain conversation."""
    questions = [shared_question(sample) if share_prefix and unit.images else None for sample in unit.samples]
    if questions[0] is None:
        encoded = processor.encode_conversation(list(unit.samples[0].messages), list(num_tokens_per_image))
        return plain_row(encoded.input_ids, encoded.labels)
    pairs = [(question, sample.messages[1].text) for question, sample in zip(questions, unit.samples, strict=True)]
    shared = processor.encode_shared_prefix(len(unit.images), pairs, num_tokens_per_image=list(num_tokens_per_image))
    return pack_shared_prefix(shared.prefix_ids, shared.branches)
