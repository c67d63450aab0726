"""Cascade attention: rows read the keys of a prefix that they share, which is never copied, and keys of their own.

The new tokens of all rows are packed into one row of the batch, without padding, in the order of their prefixes. Linear
layers then see every token once; only this attention knows where rows begin and end. It is registered with transformers
as an attention of its own, so language models stay as they are.

Shapes: T packed tokens of a pass, B rows, L longest number of new tokens of a row, G prefixes, P their length,
S columns of the rows' own keys, h query heads, k key heads, d head width.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from transformers import AttentionInterface

from geoprose.core.errors import ModelError
from geoprose.models.attention_lse import attend, merge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

    KeysValues = tuple[Tensor, Tensor]

CASCADE = "geoprose_cascade"
"""Name of the attention in transformers."""
KEYWORD = "cascade"
"""Keyword under which a ``CascadePass`` travels through the language model to its attention."""
CASCADE_MODELS = frozenset({"llama", "qwen2", "phi3", "persimmon", "chameleon", "emu3_text_model"})
"""Language models whose attention is known to go this way: keys in the cache are the keys that the attention reads."""
# Why not deepseek_v2: its cache holds latents that become keys behind the cache. Why not opt: its learned positions are
# counted from a padding mask. Why not mllama_text_model: its cross-attention layers keep keys of pictures.
_ROOM = 32
"""Columns added when the rows' own keys outgrow their memory."""


class CascadeMemory:
    """Keys and values of prefixes, by layer, and of the rows' own tokens.

    Attributes:
        prefix: ``(G, k, P, d)`` keys and values of each layer; empty where rows share nothing.
        num_columns: S; rows with fewer tokens have closed columns.
    """

    def __init__(self, prefix: list[KeysValues], num_layers: int) -> None:
        self.prefix = prefix
        self.num_columns = 0
        self._own: list[KeysValues | None] = [None] * num_layers

    def fork(self, rows_B: Tensor) -> CascadeMemory:
        """Return the memory of these rows, in this order; the prefixes are the same tensors."""
        other = CascadeMemory(self.prefix, len(self._own))
        other.num_columns = self.num_columns
        for index, own in enumerate(self._own):
            if own is not None:
                rows = rows_B.to(own[0].device)
                other._own[index] = (own[0][rows], own[1][rows])
        return other

    def remember(self, layer: int, packed: KeysValues, this: CascadePass) -> KeysValues:
        """Write the keys and values (1, k, T, d) of this pass; return those of all own tokens (B, k, S + L, d)."""
        stop = self.num_columns + this.length
        own = self._own[layer]
        if own is None or own[0].shape[2] < stop:
            own = self._own[layer] = _grown(own, packed, this.num_rows, stop + _ROOM)
        rows, columns = this.rows_T.to(own[0].device), this.columns_T.to(own[0].device) + self.num_columns
        for memory, new in zip(own, packed, strict=True):
            memory[rows, :, columns] = new[0].transpose(0, 1)
        return own[0][:, :, :stop], own[1][:, :, :stop]


def _grown(own: KeysValues | None, packed: KeysValues, num_rows: int, num_columns: int) -> KeysValues:
    """Return zeros (B, k, S, d) that begin with what was there."""
    grown = []
    for index, new in enumerate(packed):
        memory = new.new_zeros(num_rows, new.shape[1], num_columns, new.shape[3])
        if own is not None:
            memory[:, :, : own[index].shape[2]] = own[index]
        grown.append(memory)
    return grown[0], grown[1]


@dataclass(frozen=True)
class CascadePass:
    """One pass through the language model.

    Attributes:
        memory: What earlier passes left; takes what this one adds.
        tokens_per_prefix: New tokens of the rows of each prefix, in the order of the prefixes; they sum to T.
        rows_T: The row of each packed token.
        columns_T: Its column among the new ones, 0 to L - 1; rows end in the last column.
        is_open_BLS: Which of the rows' own columns, S earlier ones and L new ones, a token may read.
    """

    memory: CascadeMemory
    tokens_per_prefix: tuple[int, ...]
    rows_T: Tensor
    columns_T: Tensor
    is_open_BLS: Tensor

    @property
    def num_rows(self) -> int:
        """B."""
        return int(self.is_open_BLS.shape[0])

    @property
    def length(self) -> int:
        """L."""
        return int(self.is_open_BLS.shape[1])

    def attend_prefix(self, query_1hTd: Tensor, layer: int, scale: float) -> tuple[Tensor, Tensor]:
        """Return attention (1, h, T, d) and log-sum-exp (1, h, T) over the prefix of each token's row."""
        keys, values = self.memory.prefix[layer]
        counts = self.tokens_per_prefix
        if len(counts) > 1 and len(set(counts)) == 1:
            heads, width = query_1hTd.shape[1], query_1hTd.shape[3]
            query_GhNd = query_1hTd.reshape(heads, len(counts), counts[0], width).transpose(0, 1)
            output, lse = attend(query_GhNd, keys, values, scale)
            return output.transpose(0, 1).flatten(1, 2)[None], lse.transpose(0, 1).flatten(1, 2)[None]
        parts = [
            attend(query, keys[index : index + 1], values[index : index + 1], scale)
            for index, query in enumerate(torch.split(query_1hTd, list(counts), dim=2))
            if counts[index]
        ]
        return torch.cat([output for output, _ in parts], dim=2), torch.cat([lse for _, lse in parts], dim=2)

    def attend_own(self, query_1hTd: Tensor, own: KeysValues, scale: float) -> tuple[Tensor, Tensor]:
        """Return attention (1, h, T, d) and log-sum-exp (1, h, T) over the tokens of each token's own row."""
        rows, columns = self.rows_T.to(query_1hTd.device), self.columns_T.to(query_1hTd.device)
        query_Thd = query_1hTd[0].transpose(0, 1)
        query_BhLd = query_1hTd.new_zeros(self.num_rows, query_1hTd.shape[1], self.length, query_1hTd.shape[3])
        query_BhLd[rows, :, columns] = query_Thd
        output, lse = attend(query_BhLd, *own, scale, self.is_open_BLS.to(query_1hTd.device))
        return output[rows, :, columns].transpose(0, 1)[None], lse[rows, :, columns].transpose(0, 1)[None]


def cascade_attention(
    module: nn.Module,
    query_1hTd: Tensor,
    key_1kTd: Tensor,
    value_1kTd: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attend as transformers asks its attentions to: returns (1, T, h, d) and no weights.

    Raises:
        ModelError: If the attention of the language model wants something that a cascade cannot give.
    """
    this: CascadePass | None = kwargs.get(KEYWORD)
    unknown = [name for name in ("softcap", "position_bias", "s_aux") if kwargs.get(name) is not None]
    if this is None or attention_mask is not None or unknown:
        raise ModelError(
            f"{type(module).__name__} calls the cascade with {unknown or 'a mask, or without its pass'}, which it does "
            "not know; answer with sharing='copy'."
        )
    layer: Any = module.layer_idx
    scale = query_1hTd.shape[-1] ** -0.5 if scaling is None else scaling
    own = this.attend_own(query_1hTd, this.memory.remember(layer, (key_1kTd, value_1kTd), this), scale)
    output = own[0]
    if this.memory.prefix:
        output = merge(this.attend_prefix(query_1hTd, layer, scale), own)
    return output.transpose(1, 2).contiguous(), None


AttentionInterface.register(CASCADE, cascade_attention)


@contextmanager
def routed(language_model: Any) -> Iterator[None]:
    """Let the attention of a language model be the cascade inside the block."""
    config = language_model.config
    before = config._attn_implementation
    # Why not set_attn_implementation: it checks and rewrites every part, for something that lasts one pass.
    config._attn_implementation = CASCADE
    try:
        yield
    finally:
        config._attn_implementation = before
