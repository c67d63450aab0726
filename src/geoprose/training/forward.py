"""The pass of the model over one micro-batch, which the losses of a stage share."""

# B rows, T tokens, D width of the language model

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from geoprose.training.precision import pass_dtype

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

T = TypeVar("T")
Batch = Mapping[str, Any]
"""Tensors of one micro-batch, as the stage's feed makes them."""

_TEXT_INPUTS = ("input_ids", "attention_mask", "position_ids", "decoder_input_ids", "decoder_attention_mask")


class Forward:
    """One micro-batch and what the model makes of it; a pass that two losses need runs once.

    Args:
        model: The model that trains.
        batch: Tensors of the micro-batch.
        needs_layers: Whether a loss reads the states of inner layers.
    """

    def __init__(self, model: Any, batch: Batch, needs_layers: bool = False) -> None:
        self.model = model
        self.batch = batch
        self.needs_layers = needs_layers
        self._made: dict[str, Any] = {}

    def once(self, name: str, make: Callable[[], T]) -> T:
        """Return what ``make`` returns; it runs for the first loss that asks for ``name``, the others get the same."""
        if name not in self._made:
            self._made[name] = make()
        made: T = self._made[name]
        return made

    @cached_property
    def output(self) -> Any:
        """What the backbone returns."""
        inputs = model_inputs(self.model, self.batch)
        dtype = pass_dtype(self.model)
        autocast = nullcontext() if dtype is None else torch.autocast(self.batch["input_ids"].device.type, dtype)
        with autocast:
            return self.model.model(**inputs, use_cache=False, output_hidden_states=self.needs_layers)

    @property
    def hidden(self) -> Tensor:
        """Last hidden states of the backbone, behind its final norm, as the head reads them."""
        hidden_BTD: Tensor = self.output.last_hidden_state
        if pass_dtype(self.model) is not None:  # the head and the losses compute outside of the pass
            hidden_BTD = hidden_BTD.to(self.model.get_input_embeddings().weight.dtype)
        # Why: the states of a T5 decoder with a tied head are scaled before it.
        return hidden_BTD * self.model.output_scale if self.model.config.is_encoder_decoder else hidden_BTD

    @property
    def layers(self) -> tuple[Tensor, ...]:
        """Hidden states (B, T, D): the embeddings, then the output of every layer."""
        if not self.needs_layers:
            raise ValueError("A loss that reads inner layers must say so with needs_layers.")
        layers: tuple[Tensor, ...] = self.output.hidden_states
        return layers


def model_inputs(model: Any, batch: Batch) -> dict[str, Any]:
    """Return the part of a batch that the backbone reads."""
    from geoprose.models.inputs import VISUAL_INPUT_NAMES

    names = (*_TEXT_INPUTS, *VISUAL_INPUT_NAMES)
    inputs = {name: batch[name] for name in names if batch.get(name) is not None}
    if "placed_ids" in batch:
        inputs["position_ids"] = batch["placed_ids"]
    elif model.model.positions.is_owner:
        inputs.pop("position_ids", None)
    if "padding_is_behind" in batch:
        # Why not without a mask: transformers would take positions that start anew for the border of packed rows. Ones
        # let it leave the mask out, and attention over half of the square is half of the work.
        inputs["attention_mask"] = torch.ones_like(inputs["attention_mask"])
    elif "attention_mask" in inputs:
        inputs["attention_mask"] = additive_mask(inputs["attention_mask"], model.get_input_embeddings().weight.dtype)
    return inputs


def additive_mask(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Turn a 4-D boolean mask (True: may attend) into the additive one every attention backend takes."""
    if mask.dim() != 4 or mask.dtype != torch.bool:
        return mask
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, torch.finfo(dtype).min)
