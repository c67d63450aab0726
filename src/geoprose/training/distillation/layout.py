"""Cut and stretch packed sequences: keep some columns, give each picture another number of tokens.

Everything follows from one table: for each place of the new sequence, the place of the old one it stands for. Who sees
whom is inherited, and a token's position is the number of tokens it sees before itself.
"""

# B rows, T tokens of the old sequence, S tokens of the new one

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

NOTHING = -1


@dataclass(frozen=True)
class Layout:
    """Tokens of a batch and who may attend to whom.

    Attributes:
        ids_BT: Token ids.
        sees_BTT: True where the token of the row may attend to the token of the column; a token sees itself.
    """

    ids_BT: Tensor
    sees_BTT: Tensor

    @property
    def is_real(self) -> Tensor:
        """True where a token is (B, T); padding sees itself and is seen by nothing else."""
        return self.sees_BTT.sum(1) + self.sees_BTT.sum(2) > 2

    def inputs(self) -> dict[str, Tensor]:
        """Return the text inputs of a backbone: ids, positions, and the mask as (B, 1, T, T)."""
        positions_BT = self.sees_BTT.sum(-1) - 1
        return {"input_ids": self.ids_BT, "position_ids": positions_BT, "attention_mask": self.sees_BTT[:, None]}

    def take(self, places_BS: Tensor) -> Layout:
        """Return the sequence whose place s stands for the old place ``places_BS[b, s]``; -1 is padding.

        Several new places may stand for one old place; they then see each other causally.
        """
        is_real_BS = places_BS != NOTHING
        source_BS = places_BS.clamp_min(0)
        size = source_BS.shape[1]
        rows_B1 = torch.arange(len(source_BS), device=source_BS.device)[:, None]
        sees = self.sees_BTT[rows_B1[:, :, None], source_BS[:, :, None], source_BS[:, None, :]]
        causal_SS = torch.ones(size, size, dtype=torch.bool, device=source_BS.device).tril()
        is_copy = source_BS[:, :, None] == source_BS[:, None, :]
        sees = torch.where(is_copy, causal_SS, sees & causal_SS)
        sees = sees & is_real_BS[:, :, None] & is_real_BS[:, None, :]
        sees = sees | torch.eye(size, dtype=torch.bool, device=source_BS.device)
        return Layout(self.ids_BT[rows_B1, source_BS], sees)


def layout_of(batch: Mapping[str, Any]) -> Layout:
    """Return the layout of a batch of the collator.

    Its mask is 2-D (padded rows), 4-D (packed rows), or absent: joined rows are then told apart by their positions.
    """
    ids_BT, mask = batch["input_ids"], batch.get("attention_mask")
    if mask is not None and mask.dim() == 4:
        return Layout(ids_BT, mask[:, 0] if mask.dtype == torch.bool else mask[:, 0] > torch.finfo(mask.dtype).min / 2)
    size = ids_BT.shape[1]
    causal_TT = torch.ones(size, size, dtype=torch.bool, device=ids_BT.device).tril()
    if mask is None:
        number_BT = (batch["position_ids"] == 0).cumsum(-1)
        return Layout(ids_BT, causal_TT & (number_BT[:, :, None] == number_BT[:, None, :]))
    is_real_BT = mask.bool()
    sees_BTT = causal_TT & is_real_BT[:, :, None] & is_real_BT[:, None, :]
    return Layout(ids_BT, sees_BTT | torch.eye(size, dtype=torch.bool, device=ids_BT.device))


def resize_pictures(is_visual_BT: Tensor, is_real_BT: Tensor, tokens_before: int, tokens_after: int) -> Tensor:
    """Return the table (B, S) in which every picture takes ``tokens_after`` places instead of ``tokens_before``.

    A place inside a picture stands for the picture's first token. Padding moves to the end of the rows.

    Args:
        is_visual_BT: True at the tokens of pictures, ``tokens_before`` in a row each.
        is_real_BT: False at padding.
        tokens_before: Tokens of one picture now.
        tokens_after: Tokens of one picture then.
    """
    tables = []
    for is_visual, is_real in zip(is_visual_BT.tolist(), is_real_BT.tolist(), strict=True):
        places: list[int] = []
        seen = 0
        for place, (visual, real) in enumerate(zip(is_visual, is_real, strict=True)):
            if visual:
                if seen % tokens_before == 0:
                    places.extend([place] * tokens_after)
                seen += 1
            elif real:
                places.append(place)
        tables.append(places)
    return pad_places(tables, is_visual_BT.device)


def pad_places(tables: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """Return rows of places as one table, filled up with -1."""
    longest = max(len(table) for table in tables)
    return torch.tensor([[*table, *[NOTHING] * (longest - len(table))] for table in tables], device=device)


def take_labels(next_ids_BT: Tensor, places_BS: Tensor, ignored: int) -> Tensor:
    """Return the labels of the new sequence; padding learns nothing."""
    taken_BS = next_ids_BT.gather(1, places_BS.clamp_min(0))
    return taken_BS.masked_fill(places_BS == NOTHING, ignored)
