"""Go on behind shared prefixes without copying them; see geoprose.models.cascade_attention."""

# G prefixes, B rows, T packed tokens of a pass, L longest number of new tokens of a row, S own columns, O vocabulary

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from geoprose.inference.continuations import Continuations, ends_of_rows, left_padding
from geoprose.models.cascade_attention import CASCADE_MODELS, KEYWORD, CascadeMemory, CascadePass, routed
from geoprose.models.inputs import TextInputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from geoprose.inference.continuations import Prefixes
    from geoprose.systems.build import System


def obstacle_to_cascade(system: System) -> str | None:
    """Return why a system cannot share prefixes by a cascade; None where it can."""
    language_model = system.model.model.language_model
    config = language_model.config
    if config.model_type not in CASCADE_MODELS:
        return f"its language model {config.model_type} is not among {', '.join(sorted(CASCADE_MODELS))}"
    if system.model.model.fusion.keeps_state:
        return f"its fusion {type(system.model.model.fusion).__name__} keeps a state per row"
    if any(type(layer) is not DynamicLayer for layer in DynamicCache(config=config).layers):
        return "its language model does not read all earlier tokens in every layer (sliding window, linear attention)"
    return None


class CascadedPrefixes(Continuations):
    """Rows packed without padding, over prefixes that are never copied.

    Args:
        system: Model and processor; see ``obstacle_to_cascade``.
        prefixes: What the rows go on from.
        owner_B: The prefix of each row, ascending.
    """

    def __init__(self, system: System, prefixes: Prefixes, owner_B: Tensor) -> None:
        self._system = system
        num_layers = int(system.model.model.language_model.config.num_hidden_layers)
        layers: Sequence[Any] = () if prefixes.cache is None else prefixes.cache.layers
        self._memory = CascadeMemory([(layer.keys, layer.values) for layer in layers], num_layers)
        self._num_prefixes = len(layers[0].keys) if layers else 1
        self._prefix_length = prefixes.length
        self._owner_B = owner_B if layers else torch.zeros_like(owner_B)
        self._is_real_BS = torch.zeros(len(owner_B), 0, dtype=torch.bool)
        self._state = {name: value[owner_B.to(value.device)] for name, value in prefixes.state.items()}

    def feed(self, tokens: Sequence[Sequence[int]], keeps_all: bool = False) -> Tensor:
        """See ``Continuations.feed``."""
        model = self._system.model
        is_real_BL = left_padding(tokens)
        rows_T, columns_T = is_real_BL.nonzero(as_tuple=True)
        self._is_real_BS = torch.cat([self._is_real_BS, is_real_BL], dim=-1)
        ids_1T = torch.tensor([[token for row in tokens for token in row]], device=model.device)
        places = (part.to(model.device) for part in (rows_T, columns_T, self._open(is_real_BL.shape[1])))
        this = CascadePass(self._memory, self._counts(tokens), *places)
        with routed(model.model.language_model):
            output = model(
                input_ids=ids_1T,
                position_ids=self._positions(rows_T, columns_T, is_real_BL.shape[1]),
                use_cache=False,
                logits_to_keep=0 if keeps_all else ends_of_rows(tokens).to(model.device),
                **{KEYWORD: this},
            )
        self._memory.num_columns += this.length
        logits: Tensor = output.logits[0]
        return logits

    def _counts(self, tokens: Sequence[Sequence[int]]) -> tuple[int, ...]:
        """Return the new tokens behind each prefix."""
        lengths_B = torch.tensor([len(row) for row in tokens])
        return tuple(torch.zeros(self._num_prefixes, dtype=torch.long).index_add(0, self._owner_B, lengths_B).tolist())

    def _open(self, length: int) -> Tensor:
        """Return which own columns (B, L, S) the new tokens of a row may read: its tokens, not later ones."""
        num_columns = self._is_real_BS.shape[1]
        is_earlier_LS = torch.ones(length, num_columns, dtype=torch.bool).tril(num_columns - length)
        return self._is_real_BS[:, None] & is_earlier_LS

    def _positions(self, rows_T: Tensor, columns_T: Tensor, length: int) -> Tensor:
        """Return the position ids of the packed tokens: (1, T), or (A, 1, T) for several axes."""
        device, positions = self._system.model.device, self._system.model.model.positions
        prefix_BP = torch.ones(len(self._is_real_BS), self._prefix_length, dtype=torch.bool)
        mask_BS = torch.cat([prefix_BP, self._is_real_BS], dim=-1).long()
        ids_BL: Tensor = (mask_BS.cumsum(-1) - 1)[:, -length:].to(device)
        if positions.is_owner:
            ids_BL = self._own_positions(mask_BS.to(device), length)
        packed: Tensor = ids_BL[..., rows_T.to(device), columns_T.to(device)].unsqueeze(-2)
        return packed

    def _own_positions(self, mask_BS: Tensor, length: int) -> Tensor:
        """Ask a scheme of its own for the ids of the rows as they would stand padded on the left."""
        is_visual_BL = torch.zeros(len(mask_BS), length, dtype=torch.bool, device=mask_BS.device)
        no_embeds_BL0 = torch.zeros(*is_visual_BL.shape, 0, device=mask_BS.device)
        text = TextInputs(no_embeds_BL0, is_visual_BL, mask_BS, mask_BS.shape[1] - length, self._state)
        ids = self._system.model.model.positions.build(text, None)
        assert isinstance(ids, torch.Tensor)  # schemes answer None only where pictures and placeholders differ
        return ids

    def fork(self, rows_B: Tensor) -> CascadedPrefixes:
        """See ``Continuations.fork``."""
        other = copy.copy(self)
        other.keep(rows_B)
        return other

    def keep(self, rows_B: Tensor) -> None:
        """See ``Continuations.keep``."""
        self._memory = self._memory.fork(rows_B)
        self._owner_B, self._is_real_BS = self._owner_B[rows_B], self._is_real_BS[rows_B]
        self._state = {name: value[rows_B.to(value.device)] for name, value in self._state.items()}
