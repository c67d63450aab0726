"""Encode each picture once: the frozen encoder's output, kept by the picture's content."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from geoprose.core.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image
    from torch import Tensor

    from geoprose.systems.build import System

MAX_PICTURES = 2048
"""Pictures kept before the oldest is dropped; 64 patches of 384 float32 values are 0.1 MB each."""
ENCODE_BATCH = 16


def image_key(image: Image | Path) -> str:
    """Return what identifies a picture: its path, or the SHA-256 of its pixels."""
    if isinstance(image, Path):
        return str(image)
    return hashlib.sha256(repr((image.mode, image.size)).encode() + image.tobytes()).hexdigest()


def open_picture(image: Image | Path) -> Image:
    """Return ``image`` as RGB, reading it when it is a path.

    Raises:
        DataError: If the file is missing or is no picture.
    """
    from PIL import Image as PillowImage

    if not isinstance(image, Path):
        return image.convert("RGB")
    try:
        with PillowImage.open(image, formats=("PNG", "JPEG", "WEBP", "TIFF")) as picture:
            return picture.convert("RGB")
    except (OSError, SyntaxError, PillowImage.DecompressionBombError) as error:
        raise DataError(
            f"The picture {image} cannot be read: {error}. Check the dataset with `geoprose data check`."
        ) from error


class FeatureCache:
    """Encoder outputs by picture, the most recent `MAX_PICTURES` of them.

    Args:
        system: Whose encoder and processor are used.
        is_blind: Replace every feature by zero, as training with blank images does.
    """

    def __init__(self, system: System, is_blind: bool = False) -> None:
        self._system = system
        self._is_blind = is_blind
        self._kept: OrderedDict[str, Tensor] = OrderedDict()

    @torch.inference_mode()
    def get(self, images: Sequence[Image | Path]) -> Tensor:
        """Return the features of ``images``, tiles of all pictures one after another.

        Shapes:
            Returns (N, P, E).
        """
        keys = [image_key(image) for image in images]
        wanted = {key: image for key, image in zip(keys, images, strict=True) if key not in self._kept}
        missing = list(wanted)
        fresh: dict[str, Tensor] = {}
        for start in range(0, len(missing), ENCODE_BATCH):
            batch = missing[start : start + ENCODE_BATCH]
            fresh.update(zip(batch, self._encode([open_picture(wanted[key]) for key in batch]), strict=True))
        features = torch.cat([fresh[key] if key in fresh else self._kept[key] for key in keys])
        self._kept.update(fresh)
        for key in keys:
            self._kept.move_to_end(key)
        while len(self._kept) > MAX_PICTURES:
            self._kept.popitem(last=False)
        return features

    def _encode(self, pictures: list[Image]) -> list[Tensor]:
        pixels_NCHW = self._system.processor.image_processor(images=pictures, return_tensors="pt")["pixel_values"]
        model = self._system.model
        features_NPE = model.model.encode_images(pixels_NCHW.to(device=model.device, dtype=model.dtype))
        features_NPE = torch.zeros_like(features_NPE) if self._is_blind else features_NPE
        tiles_per_picture = features_NPE.shape[0] // len(pictures)
        return list(features_NPE.split(tiles_per_picture))
