"""What a dense head receives and promises.

Shapes: N pictures (or pairs of them), E tower width, D shared width, h w patch grid, K prompts, L classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass
class DateFeatures:
    """What the towers say about the pictures of one date.

    Attributes:
        maps: Four hidden states as maps (N, E, h, w), shallow first.
        patches_NDhw: Patches in the space of the text.
        image_ND: The whole picture there.
    """

    maps: Sequence[Tensor]
    patches_NDhw: Tensor
    image_ND: Tensor


class DenseHead(nn.Module, ABC):
    """Features of one or more dates and prompts to class scores of every cell.

    Attributes:
        num_dates: Pictures of one place that the head compares.
    """

    num_dates: ClassVar[int] = 1

    @abstractmethod
    def __init__(self, tower_width: int, width: int, **options: Any) -> None:
        """Build for maps of width E and a shared width D from flat keyword arguments."""
        super().__init__()

    @abstractmethod
    def forward(self, dates: Sequence[DateFeatures], texts_KD: Tensor) -> Tensor:
        """Return class scores (N, L, rows, columns) of the finest map."""
