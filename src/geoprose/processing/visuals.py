"""What a caller may give as one visual: a picture, or the frames of a video; and how frames become patches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from geoprose.core.errors import ProcessingError
from geoprose.layout.resize import Resize

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from geoprose.layout.resize import Step
    from geoprose.layout.resolutions import Resolution
    from geoprose.layout.visual import PatchGroups, Plan


@dataclass(frozen=True)
class Video:
    """The frames of one video, in the order of time; one visual of the text.

    Attributes:
        frames: Pictures of equal size, at least one, already sampled.
    """

    frames: Sequence[Any]


def flatten_visuals(images: Any) -> Iterator[Any]:
    """Yield pictures and videos of any nesting of lists, in order."""
    if isinstance(images, list | tuple):
        for item in images:
            yield from flatten_visuals(item)
    else:
        yield images


def plan_visual(planner: Resolution, num_frames: int | None, width_px: int, height_px: int) -> Plan:
    """Return what a picture (``num_frames`` None) or a video becomes.

    Raises:
        ProcessingError: If the resolution takes no videos.
    """
    if num_frames is None:
        return planner.plan(width_px, height_px)
    plan_video = getattr(planner, "plan_video", None)
    if plan_video is None:
        raise ProcessingError(
            f"{type(planner).__name__} takes pictures, not videos; give the frames as single pictures, or use a system "
            "with a resolution for videos."
        )
    plan: Plan = plan_video(num_frames, width_px, height_px)
    return plan


def cut_patches(frames_TCHW: NDArray[np.float32], cut: PatchGroups) -> NDArray[np.float32]:
    """Return the patches of one visual, group by group.

    Args:
        frames_TCHW: Normalised frames; the last is repeated until whole steps in time are full.
        cut: How they are cut.

    Returns:
        (N, merge * merge, C * frames * patch * patch): N groups in raster order, step by step in time.

    Source:
        ``patchify`` of transformers' Qwen2-VL image and video processors.
    """
    missing = -len(frames_TCHW) % cut.frames
    if missing:
        frames_TCHW = np.concatenate([frames_TCHW, np.repeat(frames_TCHW[-1:], missing, axis=0)])
    t, c, h, w = frames_TCHW.shape
    side, merge = cut.patch_size, cut.merge
    rows, columns = h // (side * merge), w // (side * merge)
    grid = frames_TCHW.reshape(t // cut.frames, cut.frames, c, rows, merge, side, columns, merge, side)
    groups = grid.transpose(0, 3, 6, 4, 7, 2, 1, 5, 8)
    return groups.reshape(-1, merge * merge, c * cut.frames * side * side)


def split_sampled(steps: tuple[Step, ...]) -> tuple[tuple[Step, ...], Resize | None]:
    """Return the steps that work on the picture, and a last one that samples normalised pixels, if there is one."""
    last = steps[-1] if steps else None
    return (steps[:-1], last) if isinstance(last, Resize) and not last.antialias else (steps, None)


def sample_pixels(pixels_CHW: NDArray[np.float32], step: Resize) -> NDArray[np.float32]:
    """Return normalised pixels, bicubic at the centres of the new ones and without smoothing (torch's default)."""
    size = (step.height_px, step.width_px)
    sampled = F.interpolate(torch.from_numpy(pixels_CHW)[None], size=size, mode="bicubic", align_corners=False)
    array: NDArray[np.float32] = sampled[0].numpy()
    return array
