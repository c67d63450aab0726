"""Model and losses as one module with one forward pass, so that data-parallel wrappers see everything that trains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from geoprose.training.forward import Batch, Forward

if TYPE_CHECKING:
    from collections.abc import Sequence

    from geoprose.training.losses.base import StageLoss

LOSS_PREFIX = "loss."
"""Begins the names of what a loss learns beside the model."""


class StageModule(nn.Module):
    """What a stage trains.

    Args:
        model: Composite whose trainable parameters are already chosen.
        losses: Losses of the stage, in the recipe's order.
    """

    def __init__(self, model: nn.Module, losses: Sequence[StageLoss]) -> None:
        super().__init__()
        self.model = model
        self.losses = tuple(losses)
        self.loss = nn.ModuleList(_Learnt(loss) for loss in losses)
        self.reads_all = False
        """Set where parameters are cut over processes: each must then reduce the same gradients as its neighbours."""

    def forward(self, batch: Batch) -> Tensor:
        """Return the sum of each loss over the items of a micro-batch, (number of losses,)."""
        forward = Forward(self.model, batch, any(loss.needs_layers for loss in self.losses))
        for loss, learnt in zip(self.losses, self.loss, strict=True):
            loss.parameters = learnt.named()  # type: ignore[operator] # a sharded module has other parameter objects
        sums = torch.stack([loss.loss_sum(forward) for loss in self.losses])
        return sums + self._zero() if self.reads_all else sums

    def trained(self) -> dict[str, nn.Parameter]:
        """Return everything that trains: the model's by their own names, the losses' as ``loss.<label>...``."""
        named = {name: parameter for name, parameter in self.model.named_parameters() if parameter.requires_grad}
        return {**named, **self.of_losses()}

    def of_losses(self) -> dict[str, nn.Parameter]:
        """Return what the losses learn beside the model."""
        return {
            f"{LOSS_PREFIX}{loss.spec.label}.{name}": parameter
            for loss, learnt in zip(self.losses, self.loss, strict=True)
            for name, parameter in learnt.named().items()  # type: ignore[operator]
        }

    def _zero(self) -> Tensor | float:
        """Return 0 with a path to every parameter that trains and is whole here; a batch may show no picture."""
        from torch.distributed.tensor import DTensor

        zero: Tensor | float = 0.0
        for parameter in self.parameters():
            if parameter.requires_grad and not isinstance(parameter, DTensor) and parameter.numel():
                zero = zero + parameter.float().sum() * 0.0
        return zero


class _Learnt(nn.Module):
    """Parameters of one loss, under numbers: their names may hold dots, which torch forbids."""

    def __init__(self, loss: StageLoss) -> None:
        super().__init__()
        self._names = tuple(loss.parameters)
        for number, parameter in enumerate(loss.parameters.values()):
            self.register_parameter(str(number), parameter)

    def named(self) -> dict[str, Any]:
        """Return the parameters by their own names."""
        return dict(zip(self._names, self._parameters.values(), strict=True))
