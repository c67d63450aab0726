"""Rows of different lengths become one batch of tensors."""

# B rows, T longest row, N tiles of all rows, P patches per tile, E width of the vision encoder

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

IGNORED_LABEL = -100
PREFIX_SEGMENT = 0
PADDING_SEGMENT = -1


@dataclass
class Row:
    """One sequence: a conversation, or a prefix with branches.

    Attributes:
        input_ids: Tokens.
        next_ids: Token that follows each position, -100 where nothing is to be learnt. Already shifted, so the last
            token of a sequence, which predicts nothing, need not be in the row.
        position_ids: Position of each token; the branches of a packed row all go on from the prefix.
        segments: 0 for the prefix, 1, 2, ... for the branches.
        vision: Pixels (n, C, H, W) or cached encoder features (n, P, E) of the row's tiles, in order.
        num_visual_tokens: Visual tokens of one tile.
        targets: Extra supervision by name; the first axis is the row's images.
    """

    input_ids: list[int]
    next_ids: list[int]
    position_ids: list[int]
    segments: list[int]
    vision: Tensor | None = None
    num_visual_tokens: int = 0
    targets: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def is_packed(self) -> bool:
        """Whether the row has branches."""
        return any(segment != PREFIX_SEGMENT for segment in self.segments)


def block_mask(segments_BT: Tensor, rows_BT: Tensor | None = None) -> Tensor:
    """Return who may attend to whom, (B, 1, T, T), True where allowed.

    Token i sees token j when j is not after i and j belongs to the prefix or to the branch of i. Padding sees only
    itself, so that no row of the mask is empty (an empty softmax row is NaN).

    Args:
        segments_BT: Segment of each token.
        rows_BT: Row of each token, where several rows lie in one sequence; they do not see each other.
    """
    size = segments_BT.shape[1]
    is_causal_TT = torch.ones(size, size, dtype=torch.bool, device=segments_BT.device).tril()
    key_B1T, query_BT1 = segments_BT[:, None, :], segments_BT[:, :, None]
    is_shared = (key_B1T == PREFIX_SEGMENT) & (query_BT1 != PADDING_SEGMENT)
    is_own = (key_B1T == query_BT1) & (query_BT1 != PADDING_SEGMENT)
    is_self_TT = torch.eye(size, dtype=torch.bool, device=segments_BT.device)
    allowed = (is_shared | is_own) & is_causal_TT
    if rows_BT is not None:
        allowed &= rows_BT[:, None, :] == rows_BT[:, :, None]
    return (allowed | is_self_TT).unsqueeze(1)


class Collator:
    """Pad rows on the right and stack what belongs to their images.

    Args:
        pad_token_id: Token that fills short rows.
        vision_key: Name under which ``Row.vision`` goes to the model: ``pixel_values`` or ``vision_features``.
        join_rows: Lay all rows behind each other in one sequence instead of padding them.
    """

    def __init__(self, pad_token_id: int, vision_key: str, join_rows: bool = False) -> None:
        self.pad_token_id = pad_token_id
        self.vision_key = vision_key
        self.join_rows = join_rows

    def __call__(self, rows: Sequence[Row]) -> dict[str, Tensor]:
        """Return the batch.

        The attention mask is 2-D for plain rows and the 4-D block mask as soon as one row is packed.
        """
        batch: dict[str, Tensor] = {}
        if any(row.input_ids for row in rows):
            batch = _joined(rows) if self.join_rows else self._text(rows)
            batch["num_tokens"] = torch.tensor(sum(len(row.input_ids) for row in rows))
        visions = [row.vision for row in rows if row.vision is not None]
        if visions:
            batch[self.vision_key] = torch.cat(visions)
        for name in rows[0].targets:
            batch[name] = torch.from_numpy(np.concatenate([row.targets[name] for row in rows]))
        return batch

    def _text(self, rows: Sequence[Row]) -> dict[str, Tensor]:
        segments = _pad([row.segments for row in rows], PADDING_SEGMENT)
        is_packed = any(row.is_packed for row in rows)
        return {
            "input_ids": _pad([row.input_ids for row in rows], self.pad_token_id),
            "next_ids": _pad([row.next_ids for row in rows], IGNORED_LABEL),
            "position_ids": _pad([row.position_ids for row in rows], 0),
            "attention_mask": block_mask(segments) if is_packed else (segments != PADDING_SEGMENT).long(),
        }


def _joined(rows: Sequence[Row]) -> dict[str, Tensor]:
    def chain(parts: Iterable[Sequence[int]]) -> Tensor:
        return torch.tensor([[value for part in parts for value in part]], dtype=torch.long)

    numbers = chain([number] * len(row.input_ids) for number, row in enumerate(rows))
    return {
        "input_ids": chain(row.input_ids for row in rows),
        "next_ids": chain(row.next_ids for row in rows),
        "position_ids": chain(row.position_ids for row in rows),
        "attention_mask": block_mask(chain(row.segments for row in rows), numbers),
    }


def _pad(rows: Sequence[Sequence[int]], filler: int) -> Tensor:
    longest = max(len(row) for row in rows)
    return torch.tensor([[*row, *([filler] * (longest - len(row)))] for row in rows], dtype=torch.long)
