"""Rows of different lengths become one batch of tensors."""

# B rows, T longest row, A longest answer of a decoder, N tiles of all rows, Q longest instruction

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F

from geoprose.core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

IGNORED_LABEL = -100
PREFIX_SEGMENT = 0
PADDING_SEGMENT = -1
_RAGGED = ("condition_ids", "condition_mask")
"""Visual inputs whose second axis is as long as the longest of the batch; 0 fills the others."""


@dataclass
class Row:
    """One sequence: a conversation, a prefix with branches, or several of them behind each other.

    Attributes:
        input_ids: Tokens; those of the encoder where the language model is an encoder-decoder.
        next_ids: Token that follows each position, -100 where nothing is to be learnt. Already shifted, so the last
            token of a sequence, which predicts nothing, need not be in the row. For an encoder-decoder: the token that
            the decoder writes at each of its positions.
        position_ids: Position of each token; the branches of a packed row all go on from the prefix.
        segments: 0 for the prefix, 1, 2, ... for the branches.
        visual: Inputs of the visual half by the names of ``VisualInputs``; the first axis is tiles, visuals or inputs
            of a modality, in order.
        targets: Extra supervision by name; the first axis is the row's images.
        sequences: Which of the joined rows each token comes from; empty for a row of its own.
        decoder_ids: What the decoder of an encoder-decoder reads; empty otherwise.
        placed: Position ids (one per axis) of each token, where the system's scheme does not count one by one.
    """

    input_ids: list[int]
    next_ids: list[int]
    position_ids: list[int]
    segments: list[int]
    visual: dict[str, Tensor] = field(default_factory=dict)
    targets: dict[str, np.ndarray] = field(default_factory=dict)
    sequences: list[int] = field(default_factory=list)
    decoder_ids: list[int] = field(default_factory=list)
    placed: list[tuple[int, ...]] = field(default_factory=list)

    @property
    def is_packed(self) -> bool:
        """Whether the row has branches."""
        return any(segment != PREFIX_SEGMENT for segment in self.segments)

    @property
    def num_tokens(self) -> int:
        """Tokens that the language model reads."""
        return len(self.input_ids) + len(self.decoder_ids)


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


def join(rows: Sequence[Row]) -> Row:
    """Lay rows behind each other in one row; positions start anew in each of them.

    Raises:
        DataError: If a row has an answer of a decoder, or is joined already.
    """
    if any(row.decoder_ids or row.sequences for row in rows):
        raise DataError("Rows of an encoder-decoder, and rows that are joined already, cannot be joined.")
    return Row(
        [token for row in rows for token in row.input_ids],
        [token for row in rows for token in row.next_ids],
        [position for row in rows for position in row.position_ids],
        [segment for row in rows for segment in row.segments],
        join_visual([row.visual for row in rows]),
        _join_targets(rows),
        [number for number, row in enumerate(rows) for _ in row.input_ids],
        placed=[place for row in rows for place in row.placed],
    )


def join_visual(parts: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the visual inputs of several rows, in order."""
    joined = {}
    for name in dict.fromkeys(name for part in parts for name in part):
        tensors = [part[name] for part in parts if name in part]
        if name in _RAGGED:
            longest = max(tensor.shape[1] for tensor in tensors)
            tensors = [F.pad(tensor, (0, longest - tensor.shape[1])) for tensor in tensors]
        joined[name] = torch.cat(tensors)
    return joined


class Collator:
    """Pad rows on the right and stack what belongs to their images.

    Args:
        pad_token_id: Token that fills short rows.
        join_rows: Lay all rows behind each other in one sequence instead of padding them.
        by_positions: Joined rows are told apart by their positions alone, without a mask: for language models that are
            proven to take a position that starts anew for the border of a sequence.
        is_causal: Nothing looks at what stands behind it, so plain rows need no mask: the batch says so by
            ``padding_is_behind``, beside the mask that tells losses what is padding.
    """

    def __init__(
        self, pad_token_id: int, *, join_rows: bool = False, by_positions: bool = False, is_causal: bool = False
    ) -> None:
        self.pad_token_id = pad_token_id
        self.join_rows = join_rows
        self.by_positions = by_positions
        self.is_causal = is_causal

    def __call__(self, rows: Sequence[Row]) -> dict[str, Tensor]:
        """Return the batch.

        The attention mask is 2-D for plain rows and the 4-D block mask as soon as one row is packed or joined; joined
        rows have none at all with ``by_positions``.
        """
        if self.join_rows:
            rows = [join(rows)]
        batch: dict[str, Tensor] = {}
        if any(row.input_ids for row in rows):
            batch = self._two_texts(rows) if any(row.decoder_ids for row in rows) else self._text(rows)
            batch["num_tokens"] = torch.tensor(sum(row.num_tokens for row in rows))
        batch.update(join_visual([row.visual for row in rows]))
        batch.update({name: torch.from_numpy(values) for name, values in _join_targets(rows).items()})
        return batch

    def _text(self, rows: Sequence[Row]) -> dict[str, Tensor]:
        batch = {
            "input_ids": _pad([row.input_ids for row in rows], self.pad_token_id),
            "next_ids": _pad([row.next_ids for row in rows], IGNORED_LABEL),
            "position_ids": _pad([row.position_ids for row in rows], 0),
            "sample_of": _pad(_samples(rows), PADDING_SEGMENT),
        }
        if all(row.placed for row in rows):
            blank = (0,) * len(rows[0].placed[0])
            placed_BTA = _pad([row.placed for row in rows], blank)
            batch["placed_ids"] = placed_BTA[..., 0] if len(blank) == 1 else placed_BTA.permute(2, 0, 1)
        mask = self._mask(rows)
        if mask is not None:
            batch["attention_mask"] = mask
            if self.is_causal and mask.dim() == 2:
                batch["padding_is_behind"] = torch.tensor(True)
        return batch

    def _mask(self, rows: Sequence[Row]) -> Tensor | None:
        segments = _pad([row.segments for row in rows], PADDING_SEGMENT)
        is_packed = any(row.is_packed for row in rows)
        if not any(row.sequences for row in rows):
            return block_mask(segments) if is_packed else (segments != PADDING_SEGMENT).long()
        if self.by_positions and not is_packed:
            return None
        return block_mask(segments, _pad([row.sequences for row in rows], PADDING_SEGMENT))

    def _two_texts(self, rows: Sequence[Row]) -> dict[str, Tensor]:
        """Return the text of an encoder (B, T) and of a decoder (B, A)."""
        decoder = _pad([[0] * len(row.decoder_ids) for row in rows], PADDING_SEGMENT)
        return {
            "input_ids": _pad([row.input_ids for row in rows], self.pad_token_id),
            "attention_mask": (_pad([row.segments for row in rows], PADDING_SEGMENT) != PADDING_SEGMENT).long(),
            "decoder_input_ids": _pad([row.decoder_ids for row in rows], self.pad_token_id),
            "decoder_attention_mask": (decoder != PADDING_SEGMENT).long(),
            "next_ids": _pad([row.next_ids for row in rows], IGNORED_LABEL),
            "sample_of": _pad([[n] * len(row.next_ids) for n, row in enumerate(rows)], PADDING_SEGMENT),
        }


def _samples(rows: Sequence[Row]) -> list[list[int]]:
    """Return the number of each token's sample in the batch; a shared prefix counts as a sample of its own."""
    numbers: dict[tuple[int, int, int], int] = {}
    return [
        [
            numbers.setdefault((place, sequence, segment), len(numbers))
            for sequence, segment in zip(row.sequences or [0] * len(row.segments), row.segments, strict=True)
        ]
        for place, row in enumerate(rows)
    ]


def _join_targets(rows: Sequence[Row]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([row.targets[name] for row in rows]) for name in rows[0].targets}


def _pad(rows: Sequence[Sequence[Any]], filler: Any) -> Tensor:
    longest = max(len(row) for row in rows)
    return torch.tensor([[*row, *([filler] * (longest - len(row)))] for row in rows], dtype=torch.long)
