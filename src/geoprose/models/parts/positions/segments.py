"""What position schemes share that give the tokens of a visual other ids than one after another.

Shapes: A axes of an id, B batch, T text length, n tokens of one visual.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from geoprose.core.errors import ProcessingError
from geoprose.models.parts.contracts import Positions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor, nn

    from geoprose.models.inputs import TextInputs, Visuals

_STATE = "position_delta"


class SegmentPositions(Positions):
    """Text counts 0, 1, 2, ... between the visuals; padding, left or in the middle, has id 0 and does not count.

    A later pass of the same call goes on behind the largest id so far. What it needs for that, the difference of that
    id to the number of real tokens (B, 1), rides on the cache.
    """

    is_owner = True
    num_axes: ClassVar[int] = 1

    @abstractmethod
    def place(self, visuals: Visuals, index: int) -> tuple[Tensor, int]:
        """Return the ids (A, n) of a visual that starts at id 0, and the id of the text behind it.

        Args:
            visuals: The visual tokens of the batch.
            index: Which visual.

        Raises:
            ProcessingError: If the scheme does not cover a visual of this shape.
        """

    def install(self, language_model: nn.Module) -> None:
        """Keep the ids from the attention: it would take jumps in them for the borders of packed sequences."""
        layers = getattr(language_model, "layers", ())
        for layer in layers:
            layer.register_forward_pre_hook(_without_position_ids, with_kwargs=True)

    def build(self, text: TextInputs, visuals: Visuals | None) -> Tensor | None:
        """Return position ids (B, T), or (A, B, T) for more than one axis.

        Raises:
            ProcessingError: If the attention mask is not a padding mask, or placeholders and visuals do not match.
        """
        is_real_BT, before_B1 = self._real_tokens(text)
        delta_B1: Tensor = text.state.get(_STATE, torch.zeros_like(before_B1))
        start_B1 = before_B1 + delta_B1
        if visuals is None:
            ids_BT = (start_B1 + is_real_BT.cumsum(-1) - 1).masked_fill(~is_real_BT, 0)
            text.state[_STATE] = delta_B1
            return ids_BT if self.num_axes == 1 else ids_BT.expand(self.num_axes, -1, -1)
        numbers = iter(range(len(visuals.tokens)))
        ids_ABT = torch.zeros((self.num_axes, *is_real_BT.shape), dtype=torch.long)
        ends = []
        for row, (start, is_real_T) in enumerate(zip(start_B1.flatten().tolist(), is_real_BT.cpu(), strict=True)):
            is_visual_T = text.is_visual_BT[row].cpu()[is_real_T]
            ids_AT = self._row(is_visual_T.tolist(), start, visuals, numbers)
            ids_ABT[:, row, is_real_T] = ids_AT
            ends.append(max(start - 1, int(ids_AT.max()) if ids_AT.numel() else -1) + 1)
        ends_B1 = torch.tensor(ends, device=before_B1.device)[:, None]
        text.state[_STATE] = ends_B1 - before_B1 - is_real_BT.sum(-1, keepdim=True)
        ids_ABT = ids_ABT.to(before_B1.device)
        return ids_ABT[0] if self.num_axes == 1 else ids_ABT

    def _real_tokens(self, text: TextInputs) -> tuple[Tensor, Tensor]:
        """Return which tokens of this pass are no padding (B, T), and how many came before (B, 1)."""
        batch, length = text.embeds_BTD.shape[:2]
        mask, device = text.attention_mask, text.embeds_BTD.device
        if mask is None:
            is_real_BT = torch.ones(batch, length, dtype=torch.bool, device=device)
            return is_real_BT, torch.full((batch, 1), text.past_length, device=device)
        if mask.ndim != 2 or mask.shape[1] != text.past_length + length:
            raise ProcessingError(
                f"{type(self).__name__} counts real tokens by an attention mask (B, past + T) = ({batch}, "
                f"{text.past_length + length}); got {tuple(mask.shape)}. Give position_ids with any other mask."
            )
        return mask[:, -length:].bool(), mask[:, : text.past_length].long().sum(-1, keepdim=True)

    def _row(self, is_visual: Sequence[bool], start: int, visuals: Visuals, numbers: Iterator[int]) -> Tensor:
        """Return the ids (A, T) of the real tokens of one row."""
        pieces: list[Tensor] = []
        place = 0
        while place < len(is_visual):
            if is_visual[place]:
                ids_AN, advance = self._next_visual(is_visual[place:], visuals, numbers)
            else:
                stop = is_visual.index(True, place) if True in is_visual[place:] else len(is_visual)
                advance = stop - place
                ids_AN = torch.arange(advance).expand(self.num_axes, -1)
            pieces.append(ids_AN + start)
            start += advance
            place += ids_AN.shape[1]
        return torch.cat(pieces, dim=-1) if pieces else torch.zeros((self.num_axes, 0), dtype=torch.long)

    def _next_visual(self, is_visual: Sequence[bool], visuals: Visuals, numbers: Iterator[int]) -> tuple[Tensor, int]:
        index = next(numbers, None)
        if index is None:
            raise ProcessingError(
                f"The token ids hold placeholders for more than the {len(visuals.tokens)} visuals that were given; "
                "give every picture of the batch in order."
            )
        ids_AN, advance = self.place(visuals, index)
        count = ids_AN.shape[1]
        if not all(is_visual[:count]) or len(is_visual) < count:
            raise ProcessingError(
                f"Visual {index} has {count} tokens, which must stand in one run of placeholders for "
                f"{type(self).__name__}; encode text and pictures with the same processor, without row tokens."
            )
        return ids_AN, advance


def _without_position_ids(_layer: nn.Module, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return args, {**kwargs, "position_ids": None}
