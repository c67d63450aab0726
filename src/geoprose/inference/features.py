"""Encode each picture once: the frozen encoder's output, kept by the picture's content."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch

from geoprose.core.errors import DataError
from geoprose.layout.resolutions import SampleResolution
from geoprose.layout.visual import VisualLayout
from geoprose.models.inputs import VisualInputs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from PIL.Image import Image
    from torch import Tensor

    from geoprose.systems.build import System

T = TypeVar("T")
MAX_PICTURES = 2048
"""Pictures kept before the oldest is dropped; 64 patches of 384 float32 values are 0.1 MB each."""
ENCODE_BATCH = 16


def image_key(image: Image | Path) -> str:
    """Return what identifies a picture: its path, or the SHA-256 of the pixels that a system sees."""
    if isinstance(image, Path):
        return str(image)
    # Why RGB: the bytes of a palette picture are indices, which say nothing without the palette.
    seen = open_picture(image)
    return hashlib.sha256(repr(seen.size).encode() + seen.tobytes()).hexdigest()


def open_picture(image: Image | Path) -> Image:
    """Return ``image`` as RGB, reading it when it is a path.

    Raises:
        DataError: If the file is missing or is no picture.
    """
    return _read(image, lambda picture: picture.convert("RGB"))


def picture_size(image: Image | Path) -> tuple[int, int]:
    """Return width and height in pixels; of a file only the header is read.

    Raises:
        DataError: If the file is missing or is no picture.
    """
    return _read(image, lambda picture: picture.size)


def _read(image: Image | Path, take: Callable[[Image], T]) -> T:
    from PIL import Image as PillowImage

    if not isinstance(image, Path):
        return take(image)
    try:
        with PillowImage.open(image, formats=("PNG", "JPEG", "WEBP", "TIFF")) as picture:
            return take(picture)
    except (OSError, SyntaxError, PillowImage.DecompressionBombError) as error:
        raise DataError(
            f"The picture {image} cannot be read: {error}. Check the dataset with `geoprose data check`."
        ) from error


@dataclass(frozen=True)
class Seen:
    """What the frozen encoder said about one picture.

    Attributes:
        features_NPE: Its tiles' features.
        layout_6: Its layout.
    """

    features_NPE: Tensor
    layout_6: Tensor


class FeatureCache:
    """Encoder outputs by picture, the most recent `MAX_PICTURES` of them.

    Args:
        system: Whose encoder and processor are used.
        is_blind: Replace every feature by zero, as training with blank images does.
    """

    def __init__(self, system: System, is_blind: bool = False) -> None:
        self._system = system
        self.is_blind = is_blind
        self._kept: OrderedDict[str, Seen] = OrderedDict()
        # Why not always: a picture in two samples would be encoded twice where it makes no difference.
        self._sees_samples = isinstance(system.processor.image_processor.planner, SampleResolution)

    @torch.inference_mode()
    def get(self, samples: Sequence[Sequence[Image | Path]]) -> dict[str, Tensor]:
        """Return the model's visual inputs for the pictures of ``samples``, all pictures one after another.

        Shapes:
            Returns ``vision_features`` (N, P, E) and ``visual_layouts`` (S, 6).
        """
        keys = [self._key(image, sample) for sample in samples for image in sample]
        fresh = self._missing(samples)
        seen = [fresh[key] if key in fresh else self._kept[key] for key in keys]
        self._kept.update(fresh)
        for key in keys:
            self._kept.move_to_end(key)
        while len(self._kept) > MAX_PICTURES:
            self._kept.popitem(last=False)
        return {
            "vision_features": torch.cat([one.features_NPE for one in seen]),
            "visual_layouts": torch.stack([one.layout_6 for one in seen]),
        }

    def _key(self, image: Image | Path, sample: Sequence[Image | Path]) -> str:
        return f"{len(sample)}:{image_key(image)}" if self._sees_samples else image_key(image)

    def _missing(self, samples: Sequence[Sequence[Image | Path]]) -> dict[str, Seen]:
        """Encode what is not kept, in batches of whole samples where a sample matters, else of pictures."""
        wanted: dict[str, Sequence[Image | Path]] = {}
        for sample in samples:
            for image in sample:
                key = self._key(image, sample)
                if key not in self._kept and key not in wanted:
                    wanted[key] = sample if self._sees_samples else [image]
        units = list({id(unit): unit for unit in wanted.values()}.values())
        fresh: dict[str, Seen] = {}
        for start in range(0, len(units), ENCODE_BATCH):
            batch = units[start : start + ENCODE_BATCH]
            names = [self._key(image, unit) for unit in batch for image in unit]
            fresh.update(zip(names, self._encode([[open_picture(i) for i in unit] for unit in batch]), strict=True))
        return fresh

    def _encode(self, samples: list[list[Image]]) -> list[Seen]:
        model = self._system.model
        arrays = self._system.processor.image_processor(images=samples, return_tensors="pt")
        inputs = VisualInputs(
            **{
                name: value.to(model.device, model.dtype) if value.is_floating_point() else value.to(model.device)
                for name, value in arrays.items()
            }
        )
        features_NPE = model.model.vision_encoder.encode(inputs)
        features_NPE = torch.zeros_like(features_NPE) if self.is_blind else features_NPE
        layouts_S6 = arrays["visual_layouts"]
        rows = [model.model.vision_encoder.num_feature_rows(VisualLayout(*row)) for row in layouts_S6.tolist()]
        return [Seen(*pair) for pair in zip(torch.split(features_NPE, rows), layouts_S6, strict=True)]
