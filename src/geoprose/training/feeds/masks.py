"""Pictures of one or more dates and the mask of their classes, for dense heads."""

# N places, T dates, C channels, H W pixels, K prompts, S tokens

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from geoprose.core.errors import ConfigError, DataError
from geoprose.training.feeds.base import Feed, FeedContext

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from geoprose.data.mixture import Unit


class MaskFeed(Feed):
    """One place a unit: its dates, the prompts of the system, and ``meta["mask"]`` at the size that the model reads.

    Raises:
        ConfigError: If the system cuts or pads its pictures: the mask would no longer lie on them.
    """

    def __init__(self, context: FeedContext) -> None:
        super().__init__(context)
        resolution = context.system.spec.resolution
        if getattr(resolution, "mode", None) != "resize":
            raise ConfigError(
                f"System {context.system.spec.name} brings pictures to size by {getattr(resolution, 'mode', 'tiles')}; "
                "masks need resolution.mode: resize, which keeps the whole picture."
            )
        self.num_dates = int(context.system.processor.num_dates)
        self.prompts = dict(context.system.processor.encode_texts(context.system.processor.prompts))

    def batch(self, units: Sequence[Unit]) -> dict[str, Tensor]:
        """Return ``pixel_values`` (N, [T,] C, H, W), ``mask`` (N, H, W), and the prompts ``input_ids`` (K, S).

        Raises:
            DataError: If a unit has another number of dates, or no mask.
        """
        vision, system = self.context.vision, self.context.system
        for unit in units:
            if len(unit.images) != self.num_dates or not isinstance(unit.samples[0].meta.get("mask"), str):
                raise DataError(
                    f"Sample {unit.samples[0].id} has {len(unit.images)} pictures and mask "
                    f"{unit.samples[0].meta.get('mask')!r}; {system.spec.name} learns from {self.num_dates} and a path."
                )
        paths = [Path(unit.root) / image for unit in units for image in unit.images]
        pixels = vision.load(system, paths)
        if self.num_dates > 1:
            pixels = pixels.reshape(len(units), self.num_dates, *pixels.shape[1:])
        size = (pixels.shape[-1], pixels.shape[-2])
        masks = [read_mask(Path(unit.root) / str(unit.samples[0].meta["mask"]), size) for unit in units]
        batch = {"pixel_values": pixels, "mask": torch.from_numpy(np.stack(masks)), **self.prompts}
        return {**batch, "num_tokens": torch.tensor(len(paths))}

    def length(self, unit: Unit) -> int:
        """Return the pictures of a unit."""
        return len(unit.images)


def read_mask(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Return the values of a mask at a size (width, height), int64 (H, W); no two values are mixed.

    Raises:
        DataError: If it cannot be read.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            plain = picture.convert("L") if picture.mode in ("1", "RGB", "RGBA") else picture
            values: np.ndarray = np.asarray(plain.resize(size, Image.Resampling.NEAREST)).astype(np.int64)
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as a mask: {error}") from error
    return values
