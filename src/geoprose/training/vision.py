"""Where the pictures of a batch come from: cached features, or pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from geoprose.training.features import Features, preprocess
from geoprose.training.images import ImageScan, read_picture

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor


@dataclass(frozen=True)
class Vision:
    """Where the pictures of a row come from.

    Attributes:
        scan: Digests of the images.
        store: Cached features, or None when the encoder trains and pixels are needed.
    """

    scan: ImageScan
    store: Features | None

    @property
    def key(self) -> str:
        """Name of the model's argument."""
        return "pixel_values" if self.store is None else "vision_features"

    def load(self, system: Any, paths: Sequence[Path]) -> Tensor:
        """Return features (n, P, E) or pixels (n, C, H, W) of the images."""
        if self.store is None:
            return preprocess(system, [read_picture(path) for path in paths])
        return torch.stack([self.store.get(self.scan.digests[path]) for path in paths])
