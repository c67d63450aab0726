"""The pictures, videos and further media of a sample, as files."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from geoprose.core.errors import DataError
from geoprose.data.arrays import read_array
from geoprose.layout.modalities import MODALITIES, input_name
from geoprose.processing.visuals import Video
from geoprose.training.pictures.images import read_picture

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from PIL.Image import Image
    from torch import Tensor

    from geoprose.core.types import Sample

FRAMES, MEDIA = "frames", "media"
"""Keys of ``Sample.meta``: how many frames each visual has, and files of further modalities."""


@dataclass(frozen=True)
class VisualFiles:
    """One visual of the data.

    Attributes:
        paths: The picture, or the frames of a video in the order of time.
        is_video: Whether the files are the frames of one video.
        num_pictures: Pictures that stand in the same sample, where the resolution looks at it; else 1.
    """

    paths: tuple[Path, ...]
    is_video: bool = False
    num_pictures: int = 1

    def key(self, digests: Mapping[Path, str]) -> str:
        """Return what names the features of this visual: for a picture alone, the SHA-256 of its file."""
        if self.is_video:
            return "video-" + hashlib.sha256("".join(digests[path] for path in self.paths).encode()).hexdigest()
        digest = digests[self.paths[0]]
        return digest if self.num_pictures == 1 else f"{digest}-of-{self.num_pictures}"

    def read(self) -> Image | Video:
        """Return the picture or video.

        Raises:
            DataError: If a file is missing or damaged.
        """
        pictures = [read_picture(path) for path in self.paths]
        return Video(pictures) if self.is_video else pictures[0]


def visuals_of(sample: Sample, root: Path, counts_pictures: bool = False) -> list[VisualFiles]:
    """Return the visuals of a sample, in the order of their ``<image>`` marks.

    ``meta["frames"]`` says how many of ``images`` belong to each visual: 0 for a picture, else the frames of a video.
    Without it each image is a picture.

    Args:
        sample: The sample.
        root: Folder that its images are relative to.
        counts_pictures: Whether the resolution cuts a picture otherwise when more stand in its sample.

    Raises:
        DataError: If the frames do not sum up to the images.
    """
    paths = tuple(root / image for image in sample.images)
    frames = sample.meta.get(FRAMES)
    if frames is None:
        number = len(paths) if counts_pictures else 1
        return [VisualFiles((path,), num_pictures=number) for path in paths]
    counts = _counts(frames, len(paths), sample.id)
    number = counts.count(0) if counts_pictures else 1
    visuals, start = [], 0
    for count in counts:
        taken = paths[start : start + max(count, 1)]
        visuals.append(VisualFiles(taken, True) if count else VisualFiles(taken, num_pictures=number))
        start += len(taken)
    return visuals


def _counts(frames: Any, num_images: int, sample_id: str) -> list[int]:
    is_list = isinstance(frames, list) and all(isinstance(count, int) and count >= 0 for count in frames)
    if not is_list or sum(max(count, 1) for count in frames) != num_images:
        raise DataError(
            f"Sample {sample_id}: meta['frames'] is {frames!r}, but the sample has {num_images} images. Give one "
            "number for each visual: 0 for a picture, else how many images are the frames of a video."
        )
    return list(frames)


def media_files(sample: Sample, root: Path) -> dict[str, list[Path]]:
    """Return the files of further modalities, ``meta["media"]``: {modality: [path, ...]} in the order of their marks.

    Raises:
        DataError: If a modality is unknown or its files are no list of paths.
    """
    media = sample.meta.get(MEDIA) or {}
    if not isinstance(media, dict):
        raise DataError(f"Sample {sample.id}: meta['media'] must be an object of lists of paths, found {media!r}.")
    found = {}
    for modality, names in media.items():
        if modality not in MODALITIES or not isinstance(names, list) or not all(isinstance(n, str) for n in names):
            raise DataError(
                f"Sample {sample.id}: meta['media'][{modality!r}] is {names!r}. Give a list of .npy files; known "
                f"modalities: {', '.join(MODALITIES)}."
            )
        found[modality] = [root / str(name) for name in names]
    return found


def read_media(files: Mapping[str, Sequence[Path]]) -> dict[str, Tensor]:
    """Return the inputs of the branches (N, ...) by their names, from arrays in the shape that each encoder reads.

    Raises:
        DataError: If a file is missing, no plain array, or the arrays of a modality differ in shape.
    """
    read = {}
    for modality, paths in files.items():
        arrays = [_read_input(path) for path in paths]
        shapes = {array.shape for array in arrays}
        if len(shapes) > 1:
            where = paths[0].parent
            raise DataError(f"{where}: arrays of {modality} differ in shape: {sorted(shapes)}. Make them equal.")
        if arrays:
            read[input_name(modality)] = torch.from_numpy(np.stack(arrays))
    return read


def _read_input(path: Path) -> np.ndarray:
    array = read_array(path, "Save it with numpy.save in the shape of the encoder.")
    if not np.issubdtype(array.dtype, np.floating):
        raise DataError(f"{path} holds {array.dtype}; the encoders of further modalities read floating-point numbers.")
    return array.astype(np.float32)
