"""The questions of a batch without their gold answers, still packed: what sampling starts from."""

# B rows, T tokens of the gold batch, P tokens of the prompts, S answers to be written (slots)

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from geoprose.training.distillation.answer_runs import run_starts
from geoprose.training.distillation.layout import Layout, layout_of, pad_places

if TYPE_CHECKING:
    from torch import Tensor

    from geoprose.training.forward import Batch

TEXT = ("input_ids", "position_ids", "attention_mask", "padding_is_behind", "next_ids", "num_tokens")


@dataclass(frozen=True)
class Prompts:
    """Questions in rows, and where an answer begins.

    A slot is one answer to be written. Slots of one row share what they both see, such as a picture.

    Attributes:
        layout: Tokens of the questions (B, P) and who sees whom.
        rest: What else the batch holds, such as the pictures.
        row_S: Row of each slot.
        last_S: Place of the last token before the answer.
        group_S: Number of the question that each slot answers.
        gold_S: Place of that last token in the batch with the gold answers.
    """

    layout: Layout
    rest: dict[str, Any]
    row_S: Tensor
    last_S: Tensor
    group_S: Tensor
    gold_S: Tensor

    @property
    def num_slots(self) -> int:
        """Answers to be written."""
        return len(self.row_S)

    @property
    def sees_SP(self) -> Tensor:  # noqa: N802 - the suffix is the shape
        """Which tokens of its row each slot sees."""
        return self.layout.sees_BTT[self.row_S, self.last_S]

    def with_gold(self, batch: Batch) -> Prompts:
        """Return the same slots in the batch they come from, whose gold answers they do not see."""
        return replace(self, layout=layout_of(batch), last_S=self.gold_S)

    def inputs(self) -> dict[str, Any]:
        """Return the batch that a model reads before it writes."""
        return {**self.rest, **self.layout.inputs()}


def prompts_of(batch: Batch, image_token_id: int, samples: int = 1) -> Prompts:
    """Cut the gold answers off a batch.

    Every run of learnt tokens is an answer; what it sees is its prompt, earlier turns with their gold answers included.
    Tokens that no prompt holds are left out, pictures excepted: each must keep its place.

    Args:
        batch: Tensors of the collator.
        image_token_id: The image token.
        samples: Slots of each question; they lie beside each other.
    """
    layout, next_ids_BT = layout_of(batch), batch["next_ids"]
    row_Q, start_Q = run_starts(layout, next_ids_BT).nonzero(as_tuple=True)
    is_kept_BT = layout.ids_BT == image_token_id
    is_kept_BT = is_kept_BT.index_put((row_Q,), layout.sees_BTT[row_Q, start_Q], accumulate=True)
    places_BP = pad_places([row.nonzero()[:, 0].tolist() for row in is_kept_BT], layout.ids_BT.device)
    last_Q = is_kept_BT.cumsum(-1)[row_Q, start_Q] - 1
    numbers = torch.arange(len(row_Q), device=row_Q.device).repeat_interleave(samples)
    rest = {name: value for name, value in batch.items() if name not in TEXT}
    return Prompts(layout.take(places_BP), rest, row_Q[numbers], last_Q[numbers], numbers, start_Q[numbers])
