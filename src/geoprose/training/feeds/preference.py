"""Preference records: both answers of a prompt (or one judged answer) beside each other."""

# B rows, T tokens, A answers, P pairs

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from geoprose.core.errors import ConfigError, DataError
from geoprose.data.collator import Collator
from geoprose.training.feeds.base import Feed, FeedContext
from geoprose.training.pictures.vision import files_of, in_model_dtypes
from geoprose.training.preference.answers import (
    NO_ANSWER,
    AnswerRow,
    EncodedAnswer,
    encode_answer,
    encode_answers,
    padded_rows,
    shared_row,
)
from geoprose.training.preference.loss import PreferenceLoss
from geoprose.training.rows.limits import row_limit, unlimited
from geoprose.training.rows.packing import RowOptions
from geoprose.training.rows.rows import RowEncoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from geoprose.core.types import Sample
    from geoprose.data.collator import Row
    from geoprose.data.mixture import Unit

logger = logging.getLogger(__name__)

MISMATCH = "mismatch"
"""Key of a batch: the same prompts with answers to other prompts, as a batch of its own."""


class PreferenceFeed(Feed):
    """A row an answer, or with ``packing: shared_prefix`` a row a unit that holds prompt and pictures once.

    Beside what the model reads, a batch holds:

    - ``answer_of`` (B, T): the answer that each position predicts a token of, -1 for none;
    - ``answer_keys`` (A,): what stands for pictures, conversation and answer;
    - ``answer_is_good`` (A,): whether it is the preferred, or a good one;
    - ``pairs`` (P, 2): numbers of the preferred and the rejected answer of each pair;
    - ``mismatch``: another batch of that kind, where a loss names partners (``partner_of``); an answer there that the
      language model's context has no room for is cut at its end, with a warning each time the total of them doubles.

    Answers are never cut: a stage's ``too_long`` leaves out records of which an answer is too long with its prompt.
    """

    has_limit = True

    def __init__(self, context: FeedContext) -> None:
        super().__init__(context)
        stage, self.system, self.vision = context.stage, context.system, context.vision
        if stage.packing not in ("none", "shared_prefix"):
            raise ConfigError(f"Stage {stage.name}: losses on preferences take packing none or shared_prefix.")
        self.shares = stage.packing == "shared_prefix"
        self.encoder = RowEncoder(self.system, self.vision, RowOptions(self.shares))
        self.limit = row_limit(self.system, stage)
        if self.encoder.reads_questions:
            raise ConfigError(
                f"{self.system.spec.name} has a connector that reads the question; losses on preferences feed systems "
                "whose connector reads pictures alone."
            )
        self.collate = Collator(self.system.processor.tokenizer.pad_token_id, join_rows=stage.join_rows)
        partners = [loss.partner_of for loss in context.losses if isinstance(loss, PreferenceLoss)]
        self.partner_of = next((partner_of for partner_of in partners if partner_of is not None), None)
        self.num_cut = 0

    def batch(self, units: Sequence[Unit]) -> dict[str, Any]:
        """Return the tensors of one micro-batch."""
        encoded = [[self._encode(unit, sample) for sample in unit.samples] for unit in units]
        if self.shares and self.context.stage.max_row_tokens is not None:
            encoded = [_cut(groups, self.context.stage.max_row_tokens) for groups in encoded]
        batch = self._collate(units, [[a for group in groups for a in group] for groups in encoded])
        batch["pairs"] = _pairs([group for groups in encoded for group in groups])
        if self.partner_of is not None:
            kept = [unit.samples[: len(groups)] for unit, groups in zip(units, encoded, strict=True)]
            partners = [[self._mismatch(u, s) for s in samples] for u, samples in zip(units, kept, strict=True)]
            batch[MISMATCH] = self._collate(units, partners)
        return batch

    def length(self, unit: Unit) -> int:
        """Return the tokens of a unit's rows."""
        answers = [answer for sample in unit.samples for answer in self._encode(unit, sample)]
        rows = [shared_row(answers)] if self.shares else padded_rows(answers)
        return sum(len(row.row.input_ids) for row in rows)

    @staticmethod
    def texts(encoder: RowEncoder, unit: Unit) -> list[Row]:
        """Return a row an answer."""
        with unlimited(encoder.processor.tokenizer):
            answers = encode_answers(encoder.processor, unit.samples[0], (), encoder.image_tokens(unit))
        return [padded.row for padded in padded_rows(answers)]

    def _encode(self, unit: Unit, sample: Sample) -> list[EncodedAnswer]:
        with unlimited(self.system.processor.tokenizer):
            answers = encode_answers(self.system.processor, sample, *self._images(unit))
        longest = max(answer.num_tokens for answer in answers)
        if longest > self.limit:
            raise DataError(
                f"Sample {sample.id} has an answer of {longest} tokens with its prompt and pictures; a row has at most "
                f"{self.limit}. Set too_long: skip in the stage."
            )
        return answers

    def _mismatch(self, unit: Unit, sample: Sample) -> EncodedAnswer:
        assert self.partner_of is not None
        with unlimited(self.system.processor.tokenizer):
            answer = encode_answer(self.system.processor, sample, self.partner_of(sample), False, self._images(unit))
        if answer.num_tokens > self.limit:
            self._count_cut(sample)
        # Why cut: prompt and answer are of two records, each of which fits; no judgement hangs on the end.
        return answer.cut(self.limit)

    def _count_cut(self, sample: Sample) -> None:
        self.num_cut += 1
        if self.num_cut.bit_count() == 1:  # 1, 2, 4, ...
            logger.warning(
                "Answers of other records cut at the %d tokens of a row: %d so far, now behind sample %s's prompt. "
                "They estimate the loss's reference point only; shorter prompts or answers keep them whole.",
                self.limit,
                self.num_cut,
                sample.id,
            )

    def _images(self, unit: Unit) -> tuple[list[str], list[Any]]:
        """Return what names the pictures of a unit, and their image tokens."""
        files = files_of(self.system, unit.samples[0], Path(unit.root))
        return [file.key(self.vision.scan.digests) for file in files], self.encoder.image_tokens(unit)

    def _collate(self, units: Sequence[Unit], answers: Sequence[Sequence[EncodedAnswer]]) -> dict[str, Any]:
        rows: list[AnswerRow] = []
        first = 0
        for unit, own in zip(units, answers, strict=True):
            added = [shared_row(own, first)] if self.shares else padded_rows(own, first)
            visual = self.encoder.rows(unit, with_text=False)[0].visual
            for row in added:
                row.row.visual = visual
            rows += added
            first += len(own)
        batch: dict[str, Any] = in_model_dtypes(self.collate([row.row for row in rows]), self.system.model)
        flat = [answer for own in answers for answer in own]
        batch["answer_of"] = _positions([row.answers for row in rows], self.collate.join_rows)
        batch["answer_keys"] = torch.tensor([answer.key for answer in flat])
        batch["answer_is_good"] = torch.tensor([answer.is_good for answer in flat])
        return batch


def _cut(groups: list[list[EncodedAnswer]], max_tokens: int) -> list[list[EncodedAnswer]]:
    """Leave out records that would make the row longer; the first always stays, and no pair is torn."""
    kept = groups[:1]
    for group in groups[1:]:
        flat = [answer for own in [*kept, group] for answer in own]
        if len(shared_row(flat).row.input_ids) > max_tokens:
            break
        kept.append(group)
    return kept


def _pairs(groups: Sequence[Sequence[EncodedAnswer]]) -> Tensor:
    pairs, number = [], 0
    for group in groups:
        if len(group) == 2:
            pairs.append([number, number + 1])
        number += len(group)
    return torch.tensor(pairs, dtype=torch.long).reshape(-1, 2)


def _positions(rows: Sequence[list[int]], is_joined: bool) -> Tensor:
    if is_joined:
        return torch.tensor([[number for row in rows for number in row]], dtype=torch.long)
    longest = max(len(row) for row in rows)
    return torch.tensor([row + [NO_ANSWER] * (longest - len(row)) for row in rows], dtype=torch.long)
