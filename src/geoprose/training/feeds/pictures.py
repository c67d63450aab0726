"""Pictures alone, for losses that read no text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from geoprose.core.errors import DataError
from geoprose.training.feeds.base import Feed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from geoprose.data.mixture import Unit


class PictureFeed(Feed):
    """The pictures of the units, one tile each."""

    def batch(self, units: Sequence[Unit]) -> dict[str, Tensor]:
        """Return pixels (N, C, H, W), or features (N, P, E) where they are cached.

        Raises:
            DataError: If the units show no picture.
        """
        paths = [Path(unit.root) / image for unit in units for image in unit.images]
        if not paths:
            raise DataError(f"Sample {units[0].samples[0].id} shows no picture. Set min_images: 1 on its source.")
        vision = self.context.vision
        return {vision.key: vision.load(self.context.system, paths), "num_tokens": torch.tensor(len(paths))}

    def length(self, unit: Unit) -> int:
        """Return the pictures of a unit."""
        return len(unit.images)
