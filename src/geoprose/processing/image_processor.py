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
from geoprose.layout.resize import RESIZE_MODES, Crop, Pad, ResizeHistory, Step
from geoprose.layout.resolutions import RESOLUTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

RESAMPLERS = {"nearest": Image.Resampling.NEAREST, "bilinear": Image.Resampling.BILINEAR,
              "bicubic": Image.Resampling.BICUBIC, "lanczos": Image.Resampling.LANCZOS}  # fmt: skip


class GeoproseImageProcessor(BaseImageProcessor):  # type: ignore[misc]  # transformers is untyped
    """Cut each picture into tiles, scale to 0..1 and normalise.

    Args:
        size: Tile height and width in pixels, ``{"height": h, "width": h}``; square.
        resolution: Name in the resolutions registry.
        mode: How a picture meets the square: ``resize``, ``pad`` or ``center_crop``.
        resample: ``nearest``, ``bilinear``, ``bicubic`` or ``lanczos``.
        image_mean: Mean per channel, of values 0..1.
        image_std: Standard deviation per channel.
    """

    model_input_names = ["pixel_values"]  # noqa: RUF012 - the form is the contract of transformers

    def __init__(
        self,
        size: dict[str, int] | None = None,
        resolution: str = "fixed",
        mode: str = "resize",
        resample: str = "bicubic",
        image_mean: Sequence[float] = (0.485, 0.456, 0.406),
        image_std: Sequence[float] = (0.229, 0.224, 0.225),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.size = dict(size or {"height": 224, "width": 224})
        self.resolution = resolution
        self.mode = mode
        self.resample = resample
        self.image_mean = list(image_mean)
        self.image_std = list(image_std)
        if self.size["height"] != self.size["width"]:
            raise ConfigError(f"Tiles are square; got {self.size}.")
        if mode not in RESIZE_MODES or resample not in RESAMPLERS:
            raise ConfigError(
                f"Unknown mode {mode!r} or resample {resample!r}. Modes: {', '.join(RESIZE_MODES)}; "
                f"resamplers: {', '.join(RESAMPLERS)}."
            )

    def plan(self, width_px: int, height_px: int) -> tuple[ResizeHistory, ...]:
        """Return one resize history per tile of a picture of this size."""
        # Third-party resolutions take the same two arguments.
        resolution = RESOLUTIONS.get(self.resolution)(self.size["height"], self.mode)  # type: ignore[call-arg]
        return resolution.plan(width_px, height_px)

    def preprocess(self, images: Any, return_tensors: str | None = None, **kwargs: Any) -> BatchFeature:
        """Turn pictures into ``pixel_values`` (N, C, H, W) float32, tiles of all pictures in order.

        Args:
            images: A picture or any nesting of lists of pictures; see ``to_rgb`` for what a picture can be.
            return_tensors: ``"pt"``, ``"np"`` or None (torch as well: a list of tiles serves nobody).
            **kwargs: Ignored, so that shared keyword arguments of a processor call do no harm.

        Raises:
            ProcessingError: If there is no picture or one cannot be read.
        """
        tiles = [self._tile(picture, history) for picture in _flatten(images) for history in self.plan(*picture.size)]
        if not tiles:
            raise ProcessingError("No picture was given; pass a PIL image, an array or a list of them.")
        pixel_values_NCHW = np.stack(tiles)
        data = pixel_values_NCHW if return_tensors == "np" else torch.from_numpy(pixel_values_NCHW)
        return BatchFeature({"pixel_values": data})

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
