"""What the teacher says about a micro-batch: one pass without gradient, shared by all losses of the stage."""

# B rows, T tokens of the student's sequence, S tokens of the teacher's, D width, K answer positions

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch

from geoprose.data.collator import IGNORED_LABEL
from geoprose.training.distillation.layout import layout_of, resize_pictures, take_labels
from geoprose.training.distillation.prompts import TEXT
from geoprose.training.forward import model_inputs
from geoprose.training.teacher import TEACHER_FEATURES

if TYPE_CHECKING:
    from torch import Tensor

    from geoprose.training.distillation.prompts import Prompts
    from geoprose.training.forward import Batch, Forward
    from geoprose.training.teacher import Teacher


class TeacherPass:
    """The teacher's reading of a batch that was made for the student.

    Where teacher and student give a picture different numbers of tokens, the teacher reads a sequence of its own: the
    same text, with every picture stretched or shrunk. Answer positions keep their order, so row k of ``states`` is the
    same word for both.

    Args:
        teacher: Whom to ask.
        batch: Tensors of the micro-batch.
        image_token_id: The student's image token.
        num_visual_tokens: The student's visual tokens a picture.
        needs_layers: Whether inner layers are read.
    """

    def __init__(
        self, teacher: Teacher, batch: Batch, image_token_id: int, num_visual_tokens: int, needs_layers: bool = False
    ) -> None:
        self.teacher = teacher
        self.batch = batch
        self.image_token_id = image_token_id
        self.num_visual_tokens = num_visual_tokens
        self.needs_layers = needs_layers

    @property
    def is_resized(self) -> bool:
        """Whether the teacher's sequence is another one than the student's."""
        return self.teacher.num_visual_tokens != self.num_visual_tokens

    @cached_property
    def places(self) -> Tensor:
        """For each place of the teacher's sequence the student's place it stands for (B, S); -1 is padding."""
        layout = layout_of(self.batch)
        is_visual_BT = self.batch["input_ids"] == self.image_token_id
        return resize_pictures(is_visual_BT, layout.is_real, self.num_visual_tokens, self.teacher.num_visual_tokens)

    @cached_property
    def inputs(self) -> dict[str, Any]:
        """Return what the teacher's backbone reads."""
        # Why not its mark: that padding needs no mask is proven for the student's language model, not for this one.
        batch = {name: value for name, value in self.batch.items() if name != "padding_is_behind"}
        if self.is_resized:
            batch.update(layout_of(batch).take(self.places).inputs())
        elif "attention_mask" not in batch:
            # Why: rows told apart by positions alone are proven for the student's language model, not for this one.
            batch.update(layout_of(batch).inputs())
        theirs = int(self.teacher.model.config.image_token_id)
        if theirs != self.image_token_id:
            batch["input_ids"] = batch["input_ids"].masked_fill(batch["input_ids"] == self.image_token_id, theirs)
        own = batch.get(TEACHER_FEATURES)
        if own is not None:
            batch.pop("pixel_values", None)
            batch["vision_features"] = own if own.shape[0] else None
        return model_inputs(self.teacher.model, batch)

    def prompts(self, prompts: Prompts) -> Prompts:
        """Return the student's prompts, which this batch holds, as the teacher reads them."""
        layout, last_S = layout_of(self.inputs), prompts.last_S
        if self.is_resized:
            last_S = self._new_places[prompts.row_S, last_S]
        rest = {name: value for name, value in self.inputs.items() if name not in TEXT}
        return replace(prompts, layout=layout, rest=rest, last_S=last_S)

    @cached_property
    def _new_places(self) -> Tensor:
        """For each place of the student's sequence the teacher's first place that stands for it."""
        size = self.places.shape[1]
        steps_BS = torch.arange(size, device=self.places.device).expand_as(self.places)
        table = torch.full_like(self.batch["input_ids"], size - 1)
        is_real_BS = self.places >= 0
        # Contract: padding points at place 0 with the largest step, which the minimum drops.
        steps_BS = torch.where(is_real_BS, steps_BS, size - 1)
        return table.scatter_reduce(1, self.places.clamp_min(0), steps_BS, reduce="amin")

    def at(self, place: Tensor) -> Tensor:
        """Return the states at places of the student's flattened batch (..., D)."""
        if self.is_resized:
            row, column = place.div(self._new_places.shape[1], rounding_mode="floor"), place % self._new_places.shape[1]
            place = row * self.places.shape[1] + self._new_places[row, column]
        return self.hidden.flatten(0, 1)[place]

    @cached_property
    def output(self) -> Any:
        """Run the teacher."""
        self.teacher.move_to(self.batch["input_ids"].device)
        with torch.no_grad():
            return self.teacher.model.model(**self.inputs, use_cache=False, output_hidden_states=self.needs_layers)

    @property
    def hidden(self) -> Tensor:
        """Last hidden states (B, S, D)."""
        hidden_BSD: Tensor = self.output.last_hidden_state
        return hidden_BSD

    @property
    def layers(self) -> tuple[Tensor, ...]:
        """Hidden states (B, S, D): the embeddings, then the output of every layer."""
        if not self.needs_layers:
            raise ValueError("A loss that reads inner layers of the teacher must say so with needs_layers.")
        layers: tuple[Tensor, ...] = self.output.hidden_states
        return layers

    def states(self, next_ids_BT: Tensor) -> Tensor:
        """Return the states (K, D) at the student's answer positions, in their order."""
        labels = take_labels(next_ids_BT, self.places, IGNORED_LABEL) if self.is_resized else next_ids_BT
        return self.hidden[labels != IGNORED_LABEL]


def teacher_pass(teacher: Teacher, forward: Forward) -> TeacherPass:
    """Return the teacher's pass over the batch of ``forward``; losses that ask twice get the same one."""
    backbone = forward.model.model

    def make() -> TeacherPass:
        image_token_id = int(forward.model.config.image_token_id)
        num_visual_tokens = int(backbone.num_visual_tokens)
        return TeacherPass(teacher, forward.batch, image_token_id, num_visual_tokens, forward.needs_layers)

    return forward.once("teacher", make)
