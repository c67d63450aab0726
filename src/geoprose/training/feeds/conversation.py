"""Conversations about pictures: token ids, labels, positions and what the vision encoder reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.core.errors import DataError
from geoprose.data.collator import Collator, Row
from geoprose.training.feeds.base import Feed, FeedContext
from geoprose.training.pictures.vision import in_model_dtypes
from geoprose.training.rows.bins import fill_rows
from geoprose.training.rows.isolation import ignores_padding, packed_isolation
from geoprose.training.rows.limits import row_limit, truncated
from geoprose.training.rows.packing import RowOptions
from geoprose.training.rows.rows import RowEncoder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from geoprose.data.mixture import Unit


class ConversationFeed(Feed):
    """One row a unit: a conversation, or a prefix with a branch for each question about the same pictures.

    With ``packing: packed`` a row holds as many conversations as fit; an encoder-decoder has a row for each answer.
    """

    has_limit = True

    def __init__(self, context: FeedContext) -> None:
        super().__init__(context)
        stage, self.system, self.vision = context.stage, context.system, context.vision
        self.needs_text = any(loss.needs_text for loss in context.losses)
        self.options = RowOptions(stage.packing == "shared_prefix", stage.max_row_tokens, stage.end_token_share)
        self.encoder = RowEncoder(self.system, self.vision, self.options)
        self.limit = row_limit(self.system, stage)
        self.capacity = stage.max_row_tokens if stage.packing == "packed" else None
        is_free = self.capacity is not None and packed_isolation(self.system.spec) == "positions"
        pad = self.system.processor.tokenizer.pad_token_id
        is_padded = self.needs_text and not (self.capacity or stage.join_rows or self.encoder.is_encoder_decoder)
        is_causal = is_padded and ignores_padding(self.system.spec)
        self.collate = Collator(pad, join_rows=stage.join_rows, by_positions=is_free, is_causal=is_causal)
        self._lengths: dict[tuple[int, ...], int] = {}

    def batch(self, units: Sequence[Unit]) -> dict[str, Tensor]:
        """Return the tensors of one micro-batch; see ``Collator``."""
        rows = [row for unit in units for row in self.rows(unit)]
        if self.capacity is not None:
            rows = fill_rows(rows, self.capacity)
        return in_model_dtypes(self.collate(rows), self.system.model)

    def rows(self, unit: Unit) -> list[Row]:
        """Return the rows of a unit: tokens, pictures, extra targets."""
        rows = [self._within_limit(row, unit) for row in self.encoder.rows(unit, self.needs_text)]
        for row in rows:
            for loss in self.context.losses:
                loss.add_targets(row, unit)
        return rows

    def _within_limit(self, row: Row, unit: Unit) -> Row:
        # Why not packed rows: positions of a branch go on from the prefix, whatever the number of branches.
        if row.is_packed:
            return row
        kept = truncated(row, self.limit, self.encoder.placeholder_ids)
        if kept is None or (kept is not row and self.context.stage.too_long != "truncate"):
            raise DataError(
                f"Sample {unit.samples[0].id} has {row.num_tokens} tokens with its pictures; a row has at most "
                f"{self.limit}. Set too_long: skip or truncate in the stage."
            )
        return kept

    def length(self, unit: Unit) -> int:
        """Return the tokens of a unit."""
        # Contract: the mixture keeps its samples alive, so their identities stay theirs.
        key = tuple(id(sample) for sample in unit.samples)
        if key not in self._lengths:
            self._lengths[key] = sum(row.num_tokens for row in self.encoder.texts(unit))
        return self._lengths[key]
