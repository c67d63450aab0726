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
        rows: Tiles along the height, without the thumbnail; patches for an encoder without tiles.
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
    def num_tiles(self) -> int:
        """Rows of ``pixel_values`` that the visual takes, where an encoder reads tiles."""
        return self.frames * (self.rows * self.columns + self.thumbnail)


@dataclass(frozen=True)
class Plan:
    """How one picture becomes the inputs of a model.

    Attributes:
        layout: Its shape; ``num_tiles`` equals ``len(tiles)``, patch resolutions excepted.
        tiles: One history per tile of ``pixel_values``, in the order the tiles enter the model.
        whole: How the whole picture meets the coordinates that answers are written in.
        extra: Tiles of further inputs by name, such as ``high_res_pixel_values``.
    """

    layout: VisualLayout
    tiles: tuple[ResizeHistory, ...]
    whole: ResizeHistory
    extra: Mapping[str, tuple[ResizeHistory, ...]] = field(default_factory=dict)
