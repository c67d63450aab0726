"""Conversations about pictures: token ids, labels, positions and what the vision encoder reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from geoprose.data.collator import Collator, Row
from geoprose.training.feeds.base import Feed, FeedContext
from geoprose.training.packing import RowOptions, encode_unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from geoprose.data.mixture import Unit


class ConversationFeed(Feed):
    """One row a unit: a conversation, or a prefix with a branch for each question about the same pictures."""

    def __init__(self, context: FeedContext) -> None:
        super().__init__(context)
        stage, self.system, self.vision = context.stage, context.system, context.vision
        self.needs_text = any(loss.needs_text for loss in context.losses)
        # Contract: the connector's parameters give the dtype of what it reads.
        self.dtype = next(self.system.model.model.connector.parameters()).dtype
        self.options = RowOptions(stage.packing == "shared_prefix", stage.max_row_tokens, stage.end_token_share)
        self.collate = Collator(self.system.processor.tokenizer.pad_token_id, self.vision.key, stage.join_rows)

    def batch(self, units: Sequence[Unit]) -> dict[str, Tensor]:
        """Return the tensors of one micro-batch; see ``Collator``."""
        batch = self.collate([self.row(unit) for unit in units])
        if self.vision.key in batch:
            batch[self.vision.key] = batch[self.vision.key].to(self.dtype)
        return batch

    def row(self, unit: Unit) -> Row:
        """Return one row: tokens, pictures, extra targets."""
        row = self._text(unit) if self.needs_text else Row([], [], [], [])
        row.num_visual_tokens = self.system.processor.num_visual_tokens
        if unit.images:
            row.vision = self.vision.load(self.system, [Path(unit.root) / image for image in unit.images])
        for loss in self.context.losses:
            loss.add_targets(row, unit)
        return row

    def length(self, unit: Unit) -> int:
        """Return the tokens of a unit."""
        return len(self._text(unit).input_ids)

    def _text(self, unit: Unit) -> Row:
        per_image = self.system.processor.num_visual_tokens
        return encode_unit(self.system.processor, unit, [per_image] * len(unit.images), self.options)
