"""The contract of a feed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from geoprose.data.collator import Row
    from geoprose.data.mixture import Unit
    from geoprose.training.losses.base import StageLoss
    from geoprose.training.pictures.vision import Vision
    from geoprose.training.rows.rows import RowEncoder
    from geoprose.training.specs.stage import StageSpec


@dataclass(frozen=True)
class FeedContext:
    """What a feed is built from.

    Attributes:
        stage: The entry of the recipe.
        system: Model and processor that train.
        vision: Source of pictures.
        losses: Losses of the stage, which may attach targets.
    """

    stage: StageSpec
    system: Any
    vision: Vision
    losses: tuple[StageLoss, ...]


class Feed(ABC):
    """Units to tensors, a pure function of the units (which carry their seed)."""

    has_limit: ClassVar[bool] = False
    """Whether the language model's context limits its rows, so that a stage's ``too_long`` decides about samples."""

    def __init__(self, context: FeedContext) -> None:
        self.context = context

    @abstractmethod
    def batch(self, units: Sequence[Unit]) -> dict[str, Tensor]:
        """Return the tensors of one micro-batch, on the processor."""

    @abstractmethod
    def length(self, unit: Unit) -> int:
        """Return the tokens of a unit, without decoding a picture."""

    @staticmethod
    def texts(encoder: RowEncoder, unit: Unit) -> list[Row]:
        """Return the rows that a unit of one sample becomes, without pictures, where ``has_limit``."""
        return encoder.texts(unit)
