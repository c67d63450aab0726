"""The answers of preference records as rows: each prompt with each of its answers, padded or sharing their prefix."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from geoprose.core.errors import DataError
from geoprose.data.collator import IGNORED_LABEL, PREFIX_SEGMENT, Row
from geoprose.data.preferences import answer_of, is_good, rejected_of, with_answer
from geoprose.training.rows.packing import pack_shared_prefix, plain_row, prompted, trim

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.core.types import Sample

NO_ANSWER = -1
"""Marks a position that predicts no token of an answer."""


@dataclass(frozen=True)
class EncodedAnswer:
    """One prompt with one answer.

    Attributes:
        input_ids: Tokens of the whole conversation.
        labels: The answer's tokens and its end of turn; -100 elsewhere, earlier turns included.
        key: What the log-probability of this answer depends on, hashed: pictures, conversation, answer.
        is_good: Whether the answer is the preferred one, or a good one.
    """

    input_ids: list[int]
    labels: list[int]
    key: int
    is_good: bool

    @property
    def num_tokens(self) -> int:
        """Tokens that the language model reads: all but the last, which predicts nothing."""
        return len(self.input_ids) - 1

    def cut(self, limit: int) -> EncodedAnswer:
        """Return it without what stands behind the first ``limit`` tokens that are read."""
        return replace(self, input_ids=self.input_ids[: limit + 1], labels=self.labels[: limit + 1])


@dataclass(frozen=True)
class AnswerRow:
    """A row and the answer that each of its positions predicts (``NO_ANSWER``: none)."""

    row: Row
    answers: list[int]


def encode_answers(
    processor: Any, sample: Sample, digests: Sequence[str], num_tokens_per_image: Sequence[Any]
) -> list[EncodedAnswer]:
    """Return the answers of a record: the preferred and the rejected one, or the single judged one.

    Args:
        processor: Of the system that trains.
        sample: A preference record.
        digests: What names each of the sample's pictures, such as its SHA-256.
        num_tokens_per_image: Image tokens of each.

    Raises:
        DataError: If the record holds no preference.
    """
    good, rejected = is_good(sample), rejected_of(sample)
    answers = [(answer_of(sample), good)] + ([] if rejected is None else [(rejected, False)])
    return [encode_answer(processor, sample, text, mark, (digests, num_tokens_per_image)) for text, mark in answers]


def encode_answer(
    processor: Any, sample: Sample, text: str, is_good: bool, images: tuple[Sequence[str], Sequence[Any]]
) -> EncodedAnswer:
    """Return the prompt of ``sample`` with one answer; ``images`` as in `encode_answers`.

    Raises:
        DataError: If the answer has no token to learn.
    """
    digests, num_tokens_per_image = images
    messages = prompted(with_answer(sample, text), processor)
    encoded = processor.encode_conversation(messages, list(num_tokens_per_image))
    labels = last_turn_labels(encoded.labels)
    if all(label == IGNORED_LABEL for label in labels):
        raise DataError(f"Sample {sample.id}: an answer is empty, so it has no log-probability to compare.")
    ids, labels = trim((encoded.input_ids, labels))
    return EncodedAnswer(ids, labels, answer_key(digests, [(m.role, m.text) for m in messages]), is_good)


def last_turn_labels(labels: Sequence[int]) -> list[int]:
    """Return the labels of the last answer only: earlier turns are part of the prompt."""
    kept = [IGNORED_LABEL] * len(labels)
    place = len(labels) - 1
    while place >= 0 and labels[place] == IGNORED_LABEL:
        place -= 1
    while place >= 0 and labels[place] != IGNORED_LABEL:
        kept[place] = labels[place]
        place -= 1
    return kept


def answer_key(digests: Sequence[str], messages: Sequence[tuple[str, str]]) -> int:
    """Return a number of 63 bits that stands for pictures, conversation and answer."""
    content = json.dumps([list(digests), [list(message) for message in messages]]).encode()
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "big") >> 1


def padded_rows(answers: Sequence[EncodedAnswer], first: int = 0) -> list[AnswerRow]:
    """Return one row an answer; answers are numbered from ``first``."""
    rows = [plain_row(answer.input_ids, answer.labels) for answer in answers]
    return [AnswerRow(row, _answers_of(row, first + number)) for number, row in enumerate(rows)]


def shared_row(answers: Sequence[EncodedAnswer], first: int = 0) -> AnswerRow:
    """Return one row with what all answers begin with once, pictures included, and a branch an answer.

    The shared beginning ends one token before the first learnt one, so that every branch predicts its own answer.
    """
    size = min(_shared_size(answers), *(_first_label(answer) - 1 for answer in answers))
    branches = [(answer.input_ids[size:], answer.labels[size:]) for answer in answers]
    row = pack_shared_prefix(answers[0].input_ids[:size], branches)
    return AnswerRow(row, _answers_of(row, first))


def _answers_of(row: Row, first: int) -> list[int]:
    return [
        NO_ANSWER if label == IGNORED_LABEL else first + max(segment - PREFIX_SEGMENT - 1, 0)
        for label, segment in zip(row.next_ids, row.segments, strict=True)
    ]


def _shared_size(answers: Sequence[EncodedAnswer]) -> int:
    size = 0
    for tokens in zip(*(answer.input_ids for answer in answers), strict=False):
        if len(set(tokens)) > 1:
            break
        size += 1
    return size


def _first_label(answer: EncodedAnswer) -> int:
    return next(place for place, label in enumerate(answer.labels) if label != IGNORED_LABEL)
