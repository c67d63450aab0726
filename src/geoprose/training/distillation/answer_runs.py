"""The answers of a batch, each under a name that is the same wherever it is packed."""

# B rows, T tokens, K learnt positions of the batch

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import torch

from geoprose.core.errors import ConfigError
from geoprose.data.collator import IGNORED_LABEL
from geoprose.training.distillation.layout import Layout, layout_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from geoprose.training.forward import Batch


def run_starts(layout: Layout, next_ids_BT: Tensor) -> Tensor:
    """Return (B, T), True where a run of learnt positions begins that see each other: the first one of an answer."""
    is_learnt_BT = next_ids_BT != IGNORED_LABEL
    goes_on_BT = torch.zeros_like(is_learnt_BT)
    sees_previous = layout.sees_BTT.diagonal(offset=-1, dim1=1, dim2=2)
    goes_on_BT[:, 1:] = is_learnt_BT[:, :-1] & sees_previous
    return is_learnt_BT & ~goes_on_BT


def name_answers(
    batch: Batch, image_token_id: int, num_visual_tokens: int, pictures: Sequence[str]
) -> list[tuple[str, int]]:
    """Return name and number of positions of every answer, in the order of the batch's learnt positions.

    The name is a hash of all that the answer's probabilities depend on: the tokens that it sees, its own, and what the
    pictures show. It does not depend on what else lies in the row.

    Args:
        batch: Tensors of the collator.
        image_token_id: The image token.
        num_visual_tokens: Tokens of one picture.
        pictures: Something that names the content of each picture of the batch, in order.

    Raises:
        ConfigError: If the pictures do not have that number of tokens each.
    """
    layout, next_ids_BT = layout_of(batch), batch["next_ids"]
    is_visual_BT = layout.ids_BT == image_token_id
    if int(is_visual_BT.sum()) != num_visual_tokens * len(pictures):
        raise ConfigError(
            f"A batch of {len(pictures)} pictures holds {int(is_visual_BT.sum())} image tokens, not "
            f"{num_visual_tokens} each, so answers cannot be told apart in a cache. Use source: live."
        )
    number_BT = is_visual_BT.flatten().cumsum(0).reshape(is_visual_BT.shape) - 1
    starts_BT = run_starts(layout, next_ids_BT)
    is_learnt = next_ids_BT != IGNORED_LABEL
    run_K = starts_BT[is_learnt].cumsum(0) - 1
    lengths = torch.bincount(run_K).tolist()
    ends = torch.tensor(lengths).cumsum(0) - 1
    row_K, place_K = is_learnt.nonzero(as_tuple=True)
    found = []
    for end, length in zip(ends.tolist(), lengths, strict=True):
        row, place = int(row_K[end]), int(place_K[end])
        sees_T = layout.sees_BTT[row, place]
        tokens = [*layout.ids_BT[row][sees_T].tolist(), int(next_ids_BT[row, place])]
        numbers = number_BT[row][sees_T & is_visual_BT[row]].tolist()[::num_visual_tokens]
        shown = [pictures[number // num_visual_tokens] for number in numbers]
        found.append((hashlib.sha256(repr((tokens, length, shown)).encode()).hexdigest()[:32], length))
    return found
