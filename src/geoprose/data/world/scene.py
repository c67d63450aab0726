"""Write the global picture as a cloud-optimised GeoTIFF, and name held-out places in it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geoprose.core.errors import DataError
from geoprose.core.gdal_doors import close_doors

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from geoprose.core.types import GeoRef

SCENE_NAME = "blue_marble.tif"
CARD_NAME = "card.json"


@dataclass(frozen=True)
class HeldOutPlace:
    """A window of the scene that no training tile comes near.

    Attributes:
        scene_path: The scene.
        bbox: ``(west, south, east, north)`` in degrees.
        window_px: ``(column, row, width, height)`` in the scene.
        composition: Share of each class in the window, from the labels; for checking answers, never an input.
    """

    scene_path: Path
    bbox: tuple[float, float, float, float]
    window_px: tuple[int, int, int, int]
    composition: dict[str, float]


def write_scene(path: Path, picture_HWC: NDArray[np.uint8], georef: GeoRef) -> None:
    """Write a lossless tiled GeoTIFF with overviews; the same picture gives the same bytes.

    DEFLATE level 1 on one thread: a second instead of four, 8 % larger than level 6.
    """
    close_doors()
    import rasterio
    from affine import Affine
    from rasterio.enums import ColorInterp

    with rasterio.open(
        path,
        "w",
        driver="COG",
        width=georef.width_px,
        height=georef.height_px,
        count=3,
        dtype="uint8",
        crs=georef.crs,
        transform=Affine(*georef.transform),
        blocksize=256,
        compress="DEFLATE",
        level=1,
        predictor="YES",
        overviews="IGNORE_EXISTING",
        overview_resampling="average",
        num_threads=1,
    ) as dataset:
        dataset.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        dataset.write(np.ascontiguousarray(picture_HWC.transpose(2, 0, 1)))


def held_out_scene(world_dir: Path) -> HeldOutPlace:
    """Return the large held-out window of a built world (four tiles a side by default): the most varied one."""
    return _places(world_dir, "region")[0]


def held_out_tiles(world_dir: Path) -> list[HeldOutPlace]:
    """Return single held-out tiles worth asking about, the most varied first, one per held-out strip in turn."""
    return _places(world_dir, "tiles")


def _places(world_dir: Path, kind: str) -> list[HeldOutPlace]:
    try:
        card = json.loads((world_dir / CARD_NAME).read_text(encoding="utf-8"))
        rows = card["held_out_places"][kind]
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{world_dir} is not a built world: {error}. Build one with `geoprose data build world --out {world_dir}`."
        ) from error
    return [
        HeldOutPlace(world_dir / SCENE_NAME, tuple(row["bbox"]), tuple(row["window_px"]), row["composition"])
        for row in rows
    ]
