"""What a stage changes, and what it counts while it does."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch

from geoprose.core.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor


@dataclass
class Meter:
    """What has been seen since the last log line; part of a checkpoint, so that a resumed log is the same log.

    Attributes:
        loss: Sum of the losses of the steps since the last line.
        steps: Steps since the last line.
        tokens: Tokens read since the start of the stage.
        bad_steps: Steps in a row whose loss or gradient was not finite.
        skipped: All such steps.
        parts: Sum per loss name since the last line.
    """

    loss: float = 0.0
    steps: int = 0
    tokens: int = 0
    bad_steps: int = 0
    skipped: int = 0
    parts: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class StepReport:
    """One line of the log: means over the steps since the last line; the loss is None when all of them were skipped."""

    step: int
    num_steps: int
    loss: float | None
    parts: dict[str, float]
    learning_rate: float
    grad_norm: float | None
    tokens: int
    tokens_per_second: float


def trained_tensors(model: Any) -> dict[str, Tensor]:
    """Return what a stage changes: trainable parameters, and the buffers that are saved with the model."""
    tensors = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    buffers = {name for name, _ in model.named_buffers(remove_duplicate=False)}
    tensors.update({name: tensor for name, tensor in model.state_dict().items() if name in buffers})
    return tensors


def load_trained_tensors(
    model: Any, tensors: dict[str, Tensor], others: Mapping[str, Tensor] = MappingProxyType({})
) -> None:
    """Put back what ``trained_tensors`` took, and ``others``.

    Raises:
        TrainingError: If the names or shapes do not fit, e.g. because the recipe was changed in between.
    """
    expected = {**trained_tensors(model), **others}
    wrong = sorted(set(expected) ^ set(tensors))
    wrong += [n for n in expected if n in tensors and expected[n].shape != tensors[n].shape]
    if wrong:
        raise TrainingError(f"The checkpoint does not fit this stage, e.g. {wrong[0]}. Was the recipe changed since?")
    with torch.no_grad():
        for name, tensor in tensors.items():
            expected[name].copy_(tensor)
