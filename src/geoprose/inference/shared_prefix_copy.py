"""The portable way to share a prefix: each row gets a copy of its keys and values, whatever kind of cache it is."""

# B rows, L longest number of new tokens of a row, S columns so far, O vocabulary

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from transformers.cache_utils import DynamicLayer, LinearAttentionCacheLayerMixin

from geoprose.inference.continuations import Continuations, left_padding
from geoprose.models.inputs import select_rows, set_state, state_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor
    from transformers import Cache

    from geoprose.inference.continuations import Prefixes
    from geoprose.systems.build import System


ROOM = 64
"""Columns for new tokens that a copied prefix has room for before it is copied again."""


class CopiedPrefixes(Continuations):
    """Rows padded on the left, in a cache that holds the prefix of each.

    Args:
        system: Model and processor.
        prefixes: What the rows go on from; stays as it is.
        owner_B: The prefix of each row.
    """

    def __init__(self, system: System, prefixes: Prefixes, owner_B: Tensor) -> None:
        self._system = system
        self._cache = None if prefixes.cache is None else forked(prefixes.cache, owner_B)
        self._mask_BS = torch.ones(len(owner_B), prefixes.length, dtype=torch.long, device=system.model.device)

    def feed(self, tokens: Sequence[Sequence[int]], keeps_all: bool = False) -> Tensor:
        """See ``Continuations.feed``."""
        device, model = self._mask_BS.device, self._system.model
        is_real_BL = left_padding(tokens)
        ids_BL = torch.full(is_real_BL.shape, self._system.processor.tokenizer.pad_token_id or 0)
        ids_BL[is_real_BL] = torch.tensor([token for row in tokens for token in row])
        self._mask_BS = torch.cat([self._mask_BS, is_real_BL.long().to(device)], dim=-1)
        positions_BL = (self._mask_BS.cumsum(-1) - 1).clamp_min(0)[:, -ids_BL.shape[1] :]
        output = model(
            input_ids=ids_BL.to(device),
            attention_mask=self._mask_BS,
            position_ids=None if model.model.positions.is_owner else positions_BL,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=0 if keeps_all else 1,
        )
        self._cache = output.past_key_values
        logits: Tensor = output.logits[is_real_BL.to(device)] if keeps_all else output.logits[:, -1]
        return logits

    def fork(self, rows_B: Tensor) -> CopiedPrefixes:
        """See ``Continuations.fork``."""
        other = copy.copy(self)
        other._cache = None if self._cache is None else forked(self._cache, rows_B)
        other._mask_BS = self._mask_BS[rows_B.to(self._mask_BS.device)]
        return other

    def keep(self, rows_B: Tensor) -> None:
        """See ``Continuations.keep``."""
        if self._cache is not None:
            select_rows(self._cache, rows_B)
        self._mask_BS = self._mask_BS[rows_B.to(self._mask_BS.device)]


class RoomyLayer(DynamicLayer):  # type: ignore[misc]  # transformers is untyped
    """Keys and values with room behind them: new ones are written, where transformers copies all of them to append.

    Args:
        layer: What it begins with.
        rows_B: Which of its rows.
    """

    def __init__(self, layer: DynamicLayer, rows_B: Tensor) -> None:
        super().__init__()
        self.dtype, self.device, self.is_initialized = layer.dtype, layer.device, True
        is_one = bool((rows_B == rows_B[0]).all()) if len(rows_B) else False
        rows = rows_B[:1] if is_one else rows_B
        keys, values = (part[rows].expand(len(rows_B), -1, -1, -1) for part in (layer.keys, layer.values))
        self._reserve(keys, values, keys.shape[-2])

    def _reserve(self, keys: Tensor, values: Tensor, num_columns: int) -> None:
        """Copy keys and values to where so many columns, and some more, have room."""
        self._room = []
        for part in (keys, values):
            room = part.new_empty(*part.shape[:-2], num_columns + ROOM, part.shape[-1])
            room[..., : part.shape[-2], :] = part
            self._room.append(room)
        self._show(keys.shape[-2])

    def _show(self, num_columns: int) -> None:
        self.keys, self.values = (room[..., :num_columns, :] for room in self._room)
        self._shown = self.keys

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Append and return all keys and values (contract of transformers)."""
        start = self.keys.shape[-2]
        stop = start + key_states.shape[-2]
        # Rows that were selected, or keys that were cropped, are other tensors: their room is elsewhere.
        if self.keys is not self._shown or stop > self._room[0].shape[-2]:
            self._reserve(self.keys, self.values, stop)
        for room, new in zip(self._room, (key_states, value_states), strict=True):
            room[..., start:stop, :] = new
        self._show(stop)
        return self.keys, self.values


def forked(cache: Cache, rows_B: Tensor) -> Cache:
    """Return a cache of these rows of another one, which stays as it is."""
    other: Any = copy.copy(cache)
    other.layers = []
    set_state(other, dict(state_of(cache)))
    select_rows(other, rows_B)
    other.layers = [_forked_layer(layer, rows_B) for layer in cache.layers]
    forked_cache: Cache = other
    return forked_cache


def _forked_layer(layer: Any, rows_B: Tensor) -> Any:
    if type(layer) in (DynamicLayer, RoomyLayer) and layer.is_initialized:
        return RoomyLayer(layer, rows_B)
    # Contract: other layers replace their tensors when they grow, so two may begin with the same ones.
    other = copy.copy(layer)
    other.batch_select_indices(rows_B)
    return other


def can_fork(cache: Cache) -> bool:
    """Tell whether the rows of a cache can be copied: layers of keys and values, sliding windows included."""
    layers: Any = getattr(cache, "layers", None)
    return layers is not None and all(
        isinstance(layer, DynamicLayer) and not isinstance(layer, LinearAttentionCacheLayerMixin) for layer in layers
    )
