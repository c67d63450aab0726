"""What one visual (a picture or a video) becomes: the plan that processing carries out and models read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from geoprose.layout.resize import ResizeHistory


class VisualLayout(NamedTuple):
    """The shape of one visual, as a row of the tensor ``visual_layouts`` (S, 6).

    Attributes:
        frames: 1 for a picture; the steps in time of a video.
        rows: Tiles along the height, without the thumbnail; patches for an encoder without tiles; 0 for a video whose
            frames are seen whole only.
        columns: Tiles (patches) along the width.
        thumbnail: 1 when one more tile shows the whole picture.
        height_px: Rows of the original.
        width_px: Columns of the original.
    """

    frames: int = 1
    rows: int = 1
    columns: int = 1
    thumbnail: int = 0
    height_px: int = 0
    width_px: int = 0

    @property
    def has_whole_frames_only(self) -> bool:
        """Whether this is a video without tiles: one row of ``pixel_values`` per frame, even for a single frame."""
        return self.rows == 0

    @property
    def num_tiles(self) -> int:
        """Rows of ``pixel_values`` that the visual takes, where an encoder reads tiles."""
        return self.frames * (self.rows * self.columns + self.thumbnail)


@dataclass(frozen=True)
class PatchGroups:
    """How a resolution without tiles cuts pixels, where its attribute ``patches`` says so.

    Attributes:
        patch_size: Side of a patch, pixels.
        merge: Neighbouring patches along each edge that stand together, one group per token.
        frames: Frames that one patch spans.
    """

    patch_size: int
    merge: int = 1
    frames: int = 1


@dataclass(frozen=True)
class Plan:
    """How one picture or video becomes the inputs of a model.

    Attributes:
        layout: Its shape; ``num_tiles`` equals ``len(tiles)``, patch resolutions excepted.
        tiles: One history per tile of ``pixel_values``, in the order the tiles enter the model; of one frame for a
            video, every frame is cut alike.
        whole: How the whole picture meets the coordinates that answers are written in.
        extra: Tiles of further inputs by name, such as ``high_res_pixel_values``.
    """

    layout: VisualLayout
    tiles: tuple[ResizeHistory, ...]
    whole: ResizeHistory
    extra: Mapping[str, tuple[ResizeHistory, ...]] = field(default_factory=dict)
