"""The packer of systems that cross-attend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.models.parts.contracts import Packer
from geoprose.models.parts.packers.flat import split_tiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from geoprose.layout.visual import VisualLayout


class MediaPacker(Packer):
    """All tokens of all tiles of a visual, as one run for the fusion; the text holds one placeholder per visual.

    The one packer whose runs are longer than its arrangement says, because they never enter the text.

    Args:
        width: Width D of a visual token; not used.
        slots: Tiles that the encoder gives for every visual, empty ones included and last (Mllama: 4). By default the
            encoder gives exactly the tiles of the layout.

    Source:
        arXiv:2204.14198 section 2; ``MllamaVisionModel`` of transformers for the slots.
    """

    def __init__(self, width: int, slots: int | None = None) -> None:
        super().__init__(width)
        if slots is not None and slots < 1:
            raise ConfigError(f"packer.slots {slots} is impossible; give the tiles of the encoder per visual, or null.")
        self.slots = slots

    def forward(self, tokens_NVD: Tensor, layouts: Sequence[VisualLayout]) -> Sequence[Tensor]:
        """Return one (tiles * V, D) per visual.

        Raises:
            ProcessingError: If the tiles are not as many as the layouts say.
        """
        if self.slots is None:
            return [tiles.flatten(0, 1) for tiles in split_tiles(tokens_NVD, layouts)]
        if tokens_NVD.shape[0] != self.slots * len(layouts):
            raise ProcessingError(
                f"The encoder gave {tokens_NVD.shape[0]} tiles for {len(layouts)} visuals of {self.slots} slots each; "
                "encode pictures and text with the same processor."
            )
        return [tiles.flatten(0, 1) for tiles in torch.split(tokens_NVD, self.slots)]
