"""Variable visual position encoding (V2PE): visual tokens advance the position by less than one.

Shapes: B batch, T tokens of this pass, S visuals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from geoprose.core.errors import ConfigError
from geoprose.models.parts.contracts import Positions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

    from geoprose.models.inputs import TextInputs, Visuals

TRAIN_DELTAS = tuple(2.0**-power for power in range(9))
"""1, 1/2, ..., 1/256: the increments of the paper."""
_SHIFT = "v2pe_shift_B1"


class V2pe(Positions):
    """Position p_i = p_{i-1} + 1 for text and p_{i-1} + delta for a visual token; the first token stands at 0.

    In training every picture draws its own delta, so that one model serves all of them; at test ``delta`` holds, and
    may be set anew between calls. A small delta lets long runs of pictures stay inside the trained context.

    Args:
        delta: Increment of a visual token outside training, 0 < delta <= 1.
        train_deltas: Increments drawn from in training.
        ceil: Count the text behind a picture from the next whole number, as the released code does; the paper's
            formula goes on from the fraction.

    Ids are float32 whatever the dtype of the model: half precision cannot hold them.

    Source:
        arXiv:2412.09616 section 3.2; ``v2pe_fix`` and ``v2pe_rnd`` of OpenGVLab/V2PE, whose stride is delta times the
        256 tokens of a tile.
    """

    is_owner = True

    def __init__(self, delta: float = 0.25, train_deltas: Sequence[float] = TRAIN_DELTAS, ceil: bool = True) -> None:
        for value in (delta, *train_deltas):
            if not 0 < value <= 1:
                raise ConfigError(f"A visual token cannot advance the position by {value}; use 0 < delta <= 1.")
        if not train_deltas:
            raise ConfigError("v2pe needs at least one of train_deltas; give [1] for whole positions.")
        self.delta = delta
        self.train_deltas = tuple(train_deltas)
        self.ceil = ceil
        self._language_model: nn.Module | None = None

    def install(self, language_model: nn.Module) -> None:
        """Remember the language model: it knows whether this pass trains."""
        self._language_model = language_model

    def build(self, text: TextInputs, visuals: Visuals | None) -> Tensor | None:
        """Return ids (B, T) float32, and leave the shift of later tokens in ``text.state``.

        None when placeholders and visual tokens differ in number, which the fusion reports.
        """
        steps_BT = _steps(text)
        snaps_BT = torch.zeros_like(steps_BT)
        if visuals is not None:
            sizes = [len(tokens) for tokens in visuals.tokens]
            if int(text.is_visual_BT.sum()) != sum(sizes):
                return None
            self._advance_visuals(steps_BT, snaps_BT, text.is_visual_BT, sizes, text)
        if text.attention_mask is not None and text.attention_mask.ndim == 4:
            return (_attended_sum(text.attention_mask, steps_BT + snaps_BT) - snaps_BT - 1).float()
        shift_B1: Tensor | float = text.state.get(_SHIFT, 0.0)
        ends_BT = (steps_BT + snaps_BT).cumsum(-1) + (text.past_length + shift_B1)
        text.state[_SHIFT] = ends_BT[:, -1:].float() - (text.past_length + text.length)
        ids_BT: Tensor = (ends_BT - snaps_BT - 1).clamp(min=0).float()
        return ids_BT

    def _advance_visuals(
        self, steps_BT: Tensor, snaps_BT: Tensor, is_visual_BT: Tensor, sizes: Sequence[int], text: TextInputs
    ) -> None:
        """Write the increments of visual tokens, and behind each visual what is missing to a whole number."""
        is_first_BT = _first(text, steps_BT)
        places = is_visual_BT.nonzero()
        for place, delta in zip(torch.split(places, list(sizes)), self._draw(len(sizes)), strict=True):
            rows, columns = place.unbind(-1)
            steps_BT[rows, columns] = torch.where(is_first_BT[rows, columns], 1.0, delta).to(steps_BT.dtype)
            if self.ceil and len(place):
                total = steps_BT[rows, columns].sum()
                # Why the margin: 3 * (1/3) may come out a rounding error above 1.
                snaps_BT[rows[-1], columns[-1]] = (torch.ceil(total - 1e-6) - total).clamp(min=0)

    def _draw(self, count: int) -> list[float]:
        """Return one delta per visual: drawn in training, ``delta`` otherwise."""
        if self._language_model is None or not self._language_model.training:
            return [self.delta] * count
        chosen = torch.randint(len(self.train_deltas), (count,)).tolist()
        return [self.train_deltas[index] for index in chosen]


def _steps(text: TextInputs) -> Tensor:
    """Return (B, T): 1.0 for tokens, 0.0 for padding, wide enough that sums of fractions stay exact."""
    mask, is_real_BT = text.attention_mask, torch.ones_like(text.is_visual_BT)
    if mask is not None and mask.ndim == 2:
        is_real_BT = mask[:, -text.length :].bool()
    return is_real_BT.to(torch.float32 if is_real_BT.device.type == "mps" else torch.float64)


def _first(text: TextInputs, steps_BT: Tensor) -> Tensor:
    """Return (B, T), True for the first real token of a sequence: nothing stands before it to count from."""
    if text.past_length:
        return torch.zeros_like(steps_BT, dtype=torch.bool)
    mask = text.attention_mask
    if mask is not None and mask.ndim == 4:
        return _attended_sum(mask, torch.ones_like(steps_BT)) == 1
    return (steps_BT.cumsum(-1) == 1) & (steps_BT > 0)


def _attended_sum(mask_B1TT: Tensor, values_BT: Tensor) -> Tensor:
    """Return (B, T): for each token the sum over the tokens it may attend to, itself included."""
    allowed_BTT = (mask_B1TT if mask_B1TT.dtype == torch.bool else mask_B1TT == 0)[:, 0]
    return (allowed_BTT.to(values_BT.dtype) @ values_BT.unsqueeze(-1)).squeeze(-1)
