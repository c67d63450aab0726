"""What a loss must offer so that the trainer can weight and accumulate it exactly."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

    from geoprose.data.collator import Row

Batch = Mapping[str, Any]
"""Tensors of one micro-batch, as ``geoprose.data.collator.Collator`` makes them."""


class StageLoss(ABC):
    """A sum over items and the number of items, so that accumulation divides by the count of the whole step.

    Args:
        spec: The entry of the recipe.
        system: Model and processor that train.
        samples: Training samples of the stage, for losses that need a vocabulary.
    """

    parameters: dict[str, nn.Parameter]
    """What the loss itself learns; trained and checkpointed with the stage, then thrown away."""

    needs_text: bool = True
    """Whether the batch must hold token ids; a connector-only loss needs none."""

    def __init__(self, spec: Any, system: Any, samples: Any) -> None:
        self.spec = spec
        self.weight = float(spec.weight)
        self.parameters: dict[str, nn.Parameter] = {}

    def add_targets(self, row: Row, unit: Any) -> None:  # noqa: B027 - most losses need no extra targets
        """Attach to ``row.targets`` what the loss compares with."""

    @abstractmethod
    def num_items(self, batch: Batch) -> float:
        """Return how many items (tokens, cells, words) the batch counts."""

    @abstractmethod
    def loss_sum(self, model: Any, batch: Batch) -> Tensor:
        """Return the sum of the loss over the items, float32 or wider."""
