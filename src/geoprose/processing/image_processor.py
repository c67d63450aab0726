"""Pictures to tiles with Pillow and numpy; no torchvision.

Shapes: N tiles (all pictures of the call), C channels, H W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from transformers import BatchFeature
from transformers.image_processing_utils import BaseImageProcessor

from geoprose.core.errors import ConfigError, ProcessingError
from geoprose.layout.resize import Crop, Pad, Transpose
from geoprose.layout.resolutions import SampleResolution, resolution_of
from geoprose.processing.visuals import (
    Video,
    cut_patches,
    flatten_visuals,
    plan_visual,
    sample_pixels,
    split_sampled,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from geoprose.layout.resize import ResizeHistory, Step
    from geoprose.layout.resolutions import Resolution
    from geoprose.layout.visual import PatchGroups, Plan

    _Statistics = tuple[Sequence[float], Sequence[float]]

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

    def fetch_images(self, image_url_or_urls: Any) -> Any:
        """Return the pictures, fetched where an address is given (contract of transformers); videos as they are."""
        if isinstance(image_url_or_urls, list | tuple):
            return [self.fetch_images(item) for item in image_url_or_urls]
        is_video = isinstance(image_url_or_urls, Video)
        return image_url_or_urls if is_video else super().fetch_images(image_url_or_urls)

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
        return resolution_of(self.resolution)

    def plan(self, width_px: int, height_px: int, num_pictures: int = 1) -> Plan:
        """Return what a picture of this size becomes in a sample of ``num_pictures``."""
        return self.planner_in(num_pictures).plan(width_px, height_px)

    def planner_in(self, num_pictures: int) -> Resolution:
        """Return the resolution of the pictures of a sample of ``num_pictures``, videos not counted."""
        planner = self.planner
        return planner.in_sample(num_pictures) if isinstance(planner, SampleResolution) else planner

    def plan_sample(self, visuals: Sequence[tuple[int, ...]], num_pictures: int | None = None) -> list[Plan]:
        """Return what the visuals of one sample become.

        Args:
            visuals: Width and height of each picture; width, height and number of frames of each video.
            num_pictures: Pictures of the sample, where these are some of them; by default all of them.
        """
        planner = self.planner_in(sum(len(size) == 2 for size in visuals) if num_pictures is None else num_pictures)
        return [plan_visual(planner, size[2] if len(size) > 2 else None, size[0], size[1]) for size in visuals]

    def plan_video(self, num_frames: int, width_px: int, height_px: int) -> Plan:
        """Return what a video of frames of this size becomes.

        Raises:
            ProcessingError: If the resolution takes no videos.
        """
        return plan_visual(self.planner, num_frames, width_px, height_px)

    def preprocess(
        self, images: Any, return_tensors: str | None = None, num_pictures: int | None = None, **kwargs: Any
    ) -> BatchFeature:
        """Turn visuals into ``pixel_values`` (N, C, H, W) float32 and ``visual_layouts`` (S, 6), in order.

        A resolution that cuts patches gives ``pixel_values`` (N, groups of patches, values of a patch) instead.

        Args:
            images: A picture, a ``Video``, or any nesting of lists of them; see ``to_rgb`` for what a picture can be.
                A list inside the list is one sample, as in transformers; what stands in the outer list itself is a
                sample of its own. It matters where a resolution looks at the number of pictures of a sample.
            return_tensors: ``"pt"``, ``"np"`` or None (torch as well: a list of tiles serves nobody).
            num_pictures: See ``plan_sample``.
            **kwargs: Ignored, so that shared keyword arguments of a processor call do no harm.

        Raises:
            ProcessingError: If there is no picture or one cannot be read.
        """
        items = images if isinstance(images, list | tuple) else [images]
        samples = [[_frames(visual) for visual in flatten_visuals(item)] for item in items]
        pictures = [frames for sample in samples for frames in sample]
        if not pictures:
            raise ProcessingError("No picture was given; pass a PIL image, an array or a list of them.")
        sizes = [[frames.size for frames in sample] for sample in samples]
        plans = [plan for sample in sizes for plan in self.plan_sample(sample, num_pictures)]
        arrays: dict[str, Any] = {
            "pixel_values": self._pixels(pictures, [plan.tiles for plan in plans]),
            "visual_layouts": np.array([plan.layout for plan in plans], dtype=np.int64),
        }
        # Views for another encoder may be normalised as that one was trained.
        statistics: Mapping[str, _Statistics] = getattr(self.planner, "extra_statistics", {})
        for name in plans[0].extra:
            arrays[name] = self._pixels(pictures, [plan.extra[name] for plan in plans], statistics.get(name))
        is_numpy = return_tensors == "np"
        return BatchFeature({k: v if is_numpy else torch.from_numpy(v) for k, v in arrays.items()})

    def _pixels(
        self,
        visuals: Sequence[_Frames],
        histories: Sequence[tuple[ResizeHistory, ...]],
        statistics: _Statistics | None = None,
    ) -> NDArray[np.float32]:
        statistics = statistics or (self.image_mean, self.image_std)
        tiles_per_visual = [
            np.stack([tile for frame in frames.pictures for tile in self._cut(frame, tiles, statistics)])
            for frames, tiles in zip(visuals, histories, strict=True)
        ]
        cut: PatchGroups | None = getattr(self.planner, "patches", None)
        if cut is not None:
            tiles_per_visual = [cut_patches(tiles, cut) for tiles in tiles_per_visual]
        return np.concatenate(tiles_per_visual)

    def _cut(
        self, picture: Image.Image, tiles: Sequence[ResizeHistory], statistics: _Statistics
    ) -> Iterator[NDArray[np.float32]]:
        # Why remember: the tiles of a picture share their first steps, and resizing it is the dear one.
        done: dict[tuple[Step, ...], Image.Image] = {(): picture}
        for history in tiles:
            steps, sampled = split_sampled(history.steps)
            for end in range(1, len(steps) + 1):
                if steps[:end] not in done:
                    done[steps[:end]] = self._apply(done[steps[: end - 1]], steps[end - 1])
            pixels_CHW = _normalised(done[steps], statistics)
            yield pixels_CHW if sampled is None else sample_pixels(pixels_CHW, sampled)

    def _apply(self, picture: Image.Image, step: Step) -> Image.Image:
        if isinstance(step, Pad):
            colour = self._colour(step.fill)
            canvas = Image.new("RGB", (step.width_px, step.height_px), colour)
            canvas.paste(picture, (step.left_px, step.top_px))
            return canvas
        if isinstance(step, Crop):
            right, bottom = step.left_px + step.width_px, step.top_px + step.height_px
            return picture.crop((step.left_px, step.top_px, right, bottom))
        if isinstance(step, Transpose):
            return picture.transpose(Image.Transpose.TRANSPOSE)
        if picture.size == (step.width_px, step.height_px):
            return picture
        return picture.resize((step.width_px, step.height_px), RESAMPLERS[step.resample or self.resample])

    def _colour(self, fill: str | tuple[int, ...]) -> tuple[int, ...]:
        if isinstance(fill, tuple):
            return fill
        if fill != "mean":
            return ({"black": 0, "white": 255, "one": 1}[fill],) * 3
        # Source: LLaVA pads with the mean colour, truncated to an integer.
        return tuple(int(mean * 255) for mean in self.image_mean)


@dataclass(frozen=True)
class _Frames:
    """A picture, or the frames of a video, read.

    Attributes:
        pictures: RGB, of one size.
        size: Width and height; of a video also the number of frames.
    """

    pictures: tuple[Image.Image, ...]
    size: tuple[int, ...]


def _frames(visual: Any) -> _Frames:
    if not isinstance(visual, Video):
        picture = to_rgb(visual)
        return _Frames((picture,), picture.size)
    pictures = tuple(to_rgb(frame) for frame in visual.frames)
    sizes = {picture.size for picture in pictures}
    if len(sizes) != 1:
        raise ProcessingError(
            f"The frames of a video must have one size and be at least one; got {len(pictures)} frames of the sizes "
            f"{sorted(sizes)}."
        )
    return _Frames(pictures, (*pictures[0].size, len(pictures)))


def _normalised(picture: Image.Image, statistics: _Statistics) -> NDArray[np.float32]:
    pixels_HWC = np.asarray(picture, dtype=np.float32) / np.float32(255)
    mean, std = (np.asarray(values, np.float32) for values in statistics)
    return np.ascontiguousarray(((pixels_HWC - mean) / std).transpose(2, 0, 1))


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
