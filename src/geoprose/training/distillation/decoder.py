"""A model that writes many answers at once behind packed prompts: what questions share is computed and kept once.

The cache holds one row for each row of the prompts. An answer's tokens are appended to its row, and a mask lets each
see its own prompt and its own answer only. So a picture's keys are never copied, whatever the number of answers.
"""

# B rows, P tokens of the prompts, C columns written so far, S slots, A slots that still write, D width

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers import DynamicCache

from geoprose.training.forward import additive_mask, model_inputs

if TYPE_CHECKING:
    from torch import Tensor

    from geoprose.training.distillation.prompts import Prompts

_NOBODY = -1


class PackedDecoder:
    """One model's reading of the prompts and of the answers so far.

    Args:
        model: Who reads.
        prompts: Where the answers begin; ``prompts.layout`` is this model's.

    Attributes:
        states_SD: States behind the prompts, from which the first tokens follow.
    """

    def __init__(self, model: Any, prompts: Prompts) -> None:
        self.model = model
        self.prompts = prompts
        self._cache = DynamicCache(config=model.config.get_text_config())
        inputs = model_inputs(model, prompts.inputs())
        hidden_BPD = model.model(**inputs, past_key_values=self._cache).last_hidden_state
        self.states_SD: Tensor = hidden_BPD[prompts.row_S, prompts.last_S]
        self._sees_SP = prompts.sees_SP
        self._length_S = self._sees_SP.sum(-1)
        num_rows = len(prompts.layout.ids_BT)
        self._owner_BC = torch.full((num_rows, 0), _NOBODY, dtype=torch.long, device=self._length_S.device)

    def step(self, slots_A: Tensor, tokens_A: Tensor) -> Tensor:
        """Append one token to each of these answers and return the states behind them (A, D).

        Args:
            slots_A: Slots that go on, ascending.
            tokens_A: What they wrote.
        """
        row_A = self.prompts.row_S[slots_A]
        column_A = torch.arange(len(slots_A), device=row_A.device) - torch.searchsorted(row_A, row_A)
        size = (len(self._owner_BC), int(column_A.max()) + 1)
        ids_BM, positions_BM, owner_BM = (torch.full(size, fill, device=row_A.device) for fill in (0, 0, _NOBODY))
        ids_BM[row_A, column_A] = tokens_A
        positions_BM[row_A, column_A] = self._length_S[slots_A]
        owner_BM[row_A, column_A] = slots_A
        hidden_BMD = self.model.model(
            input_ids=ids_BM,
            position_ids=positions_BM,
            attention_mask=additive_mask(self._mask(owner_BM), self.model.get_input_embeddings().weight.dtype),
            past_key_values=self._cache,
        ).last_hidden_state
        self._length_S = self._length_S.index_add(0, slots_A, torch.ones_like(slots_A))
        states_AD: Tensor = hidden_BMD[row_A, column_A]
        return states_AD

    def _mask(self, owner_BM: Tensor) -> Tensor:
        """Return what the new tokens see (B, 1, M, P + C + M): their prompt, their answer, themselves."""
        num_new = owner_BM.shape[1]
        self._owner_BC = torch.cat([self._owner_BC, owner_BM], dim=1)
        is_used_BM1 = (owner_BM != _NOBODY)[:, :, None]
        sees_prompt = self._sees_SP[owner_BM.clamp_min(0)] & is_used_BM1
        sees_own = (owner_BM[:, :, None] == self._owner_BC[:, None, :]) & is_used_BM1
        # Why: a filler sees itself, so that no row of the mask is empty (an empty softmax row is NaN).
        sees_own[:, :, -num_new:] |= torch.eye(num_new, dtype=torch.bool, device=owner_BM.device)
        return torch.cat([sees_prompt, sees_own], dim=-1)[:, None]
