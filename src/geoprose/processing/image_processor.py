"""Pictures to tiles with Pillow and numpy; no torchvision.

Shapes: N tiles (all pictures of the call), C channels, H W pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from transformers import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.layout.resize import Crop, Pad, ResizeHistory, Step
from geoprose.layout.resolutions import RESOLUTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from geoprose.layout.resolutions import Resolution
    from geoprose.layout.visual import Plan

RESAMPLERS = {"nearest": Image.Resampling.NEAREST, "bilinear": Image.Resampling.BILINEAR,
              "bicubic": Image.Resampling.BICUBIC, "lanczos": Image.Resampling.LANCZOS}  # fmt: skip


class GeoproseImageProcessor(BaseImageProcessor):  # type: ignore[misc]  # transformers is untyped
    """Cut each picture into tiles, scale to 0..1 and normalise.

    Args:
        resolution: ``{"type": name, **options}``; the name is one of the resolutions registry.
        resample: ``nearest``, ``bilinear``, ``bicubic`` or ``lanczos``.
        image_mean: Mean per channel, of values 0..1.
        image_std: Standard deviation per channel.
    """

    model_input_names = ["pixel_values"]  # noqa: RUF012 - the form is the contract of transformers

    def __init__(
        self,
        resolution: dict[str, Any] | None = None,
        resample: str = "bicubic",
        image_mean: Sequence[float] = (0.485, 0.456, 0.406),
        image_std: Sequence[float] = (0.229, 0.224, 0.225),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.resolution = dict(resolution or {"type": "fixed", "image_size": 224})
        self.resample = resample
        self.image_mean = list(image_mean)
        self.image_std = list(image_std)
        if resample not in RESAMPLERS:
            raise ConfigError(f"Unknown resample {resample!r}. Known: {', '.join(RESAMPLERS)}.")
        self.planner  # noqa: B018 - wrong options must fail here, not at the first picture

    @property
    def size(self) -> dict[str, int]:
        """Height and width of a tile in pixels (contract of vLLM)."""
        return {"height": self.resolution["image_size"], "width": self.resolution["image_size"]}

    @property
    def planner(self) -> Resolution:
        """The resolution as an object.

        Raises:
            ConfigError: If its name or options are wrong.
        """
        options = {key: value for key, value in self.resolution.items() if key != "type"}
        try:
            return RESOLUTIONS.get(self.resolution["type"])(**options)
        except TypeError as error:
            raise ConfigError(f"resolution {self.resolution['type']}: {error}") from error

    def plan(self, width_px: int, height_px: int) -> Plan:
        """Return what a picture of this size becomes."""
        return self.planner.plan(width_px, height_px)

    def preprocess(self, images: Any, return_tensors: str | None = None, **kwargs: Any) -> BatchFeature:
        """Turn pictures into ``pixel_values`` (N, C, H, W) float32 and ``visual_layouts`` (S, 6), in order.

        Args:
            images: A picture or any nesting of lists of pictures; see ``to_rgb`` for what a picture can be.
            return_tensors: ``"pt"``, ``"np"`` or None (torch as well: a list of tiles serves nobody).
            **kwargs: Ignored, so that shared keyword arguments of a processor call do no harm.

        Raises:
            ProcessingError: If there is no picture or one cannot be read.
        """
        pictures = list(_flatten(images))
        if not pictures:
            raise ProcessingError("No picture was given; pass a PIL image, an array or a list of them.")
        plans = [self.plan(*picture.size) for picture in pictures]
        arrays: dict[str, Any] = {
            "pixel_values": self._tiles(pictures, [plan.tiles for plan in plans]),
            "visual_layouts": np.array([plan.layout for plan in plans], dtype=np.int64),
        }
        for name in plans[0].extra:
            arrays[name] = self._tiles(pictures, [plan.extra[name] for plan in plans])
        is_numpy = return_tensors == "np"
        return BatchFeature({k: v if is_numpy else torch.from_numpy(v) for k, v in arrays.items()})

    def _tiles(
        self, pictures: Sequence[Image.Image], histories: Sequence[tuple[ResizeHistory, ...]]
    ) -> NDArray[np.float32]:
        pairs = zip(pictures, histories, strict=True)
        return np.stack([self._tile(picture, history) for picture, tiles in pairs for history in tiles])

    def _tile(self, picture: Image.Image, history: ResizeHistory) -> NDArray[np.float32]:
        for step in history.steps:
            picture = self._apply(picture, step)
        pixels_HWC = np.asarray(picture, dtype=np.float32) / np.float32(255)
        mean, std = np.asarray(self.image_mean, np.float32), np.asarray(self.image_std, np.float32)
        return np.ascontiguousarray(((pixels_HWC - mean) / std).transpose(2, 0, 1))

    def _apply(self, picture: Image.Image, step: Step) -> Image.Image:
        if isinstance(step, Pad):
            # Source: LLaVA pads with the mean colour, truncated to an integer.
            colour = tuple(int(mean * 255) for mean in self.image_mean)
            canvas = Image.new("RGB", (step.width_px, step.height_px), colour)
            canvas.paste(picture, (step.left_px, step.top_px))
            return canvas
        if isinstance(step, Crop):
            right, bottom = step.left_px + step.width_px, step.top_px + step.height_px
            return picture.crop((step.left_px, step.top_px, right, bottom))
        if picture.size == (step.width_px, step.height_px):
            return picture
        return picture.resize((step.width_px, step.height_px), RESAMPLERS[self.resample])


def _flatten(images: Any) -> Iterator[Image.Image]:
    if isinstance(images, list | tuple):
        for item in images:
            yield from _flatten(item)
    else:
        yield to_rgb(images)


def to_rgb(image: Any) -> Image.Image:
    """Return a picture as 8-bit RGB.

    Args:
        image: PIL image of any mode, or an array or tensor (H, W, 3), (3, H, W) or (H, W): uint8, or float in 0..1.

    Raises:
        ProcessingError: If the type, shape or values cannot be a picture.
    """
    if isinstance(image, Image.Image):
        return image.convert("RGB")
    if isinstance(image, torch.Tensor):
        image = image.detach().cpu().numpy()
    if not isinstance(image, np.ndarray):
        raise ProcessingError(f"A picture must be a PIL image or an array, got {type(image).__name__}.")
    pixels = np.repeat(image[..., None], 3, axis=-1) if image.ndim == 2 else image
    if pixels.ndim == 3 and pixels.shape[-1] != 3 and pixels.shape[0] == 3:
        pixels = pixels.transpose(1, 2, 0)
    if pixels.ndim != 3 or pixels.shape[-1] != 3 or pixels.size == 0:
        raise ProcessingError(
            f"A picture needs three bands, got an array of shape {image.shape}; render the scene first."
        )
    if pixels.dtype != np.uint8:
        if not np.issubdtype(pixels.dtype, np.floating) or not np.isfinite(pixels).all():
            raise ProcessingError(f"A picture must be uint8 or finite float in 0..1, got {pixels.dtype}.")
        if pixels.min() < 0 or pixels.max() > 1:
            raise ProcessingError("A float picture must lie in 0..1; render the scene first.")
        pixels = np.round(pixels * 255).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(pixels))
