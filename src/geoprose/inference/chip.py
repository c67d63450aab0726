"""From a scene file to the chip that a model is shown: one window, three bands, eight bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from geoprose.core.types import GeoRef

if TYPE_CHECKING:
    from PIL.Image import Image

    from geoprose.scenes.scene import Scene

MAX_SIDE_PX = 1024
"""Longer sides are read decimated (through overviews where there are any): models see a few hundred pixels anyway."""

Region = tuple[float, float, float, float]
"""``(min_x, min_y, max_x, max_y)`` in degrees, or in pixels for a scene without CRS."""


@dataclass(frozen=True)
class Chip:
    """A picture and where it lies.

    Attributes:
        picture: RGB, 8 bits; invalid pixels are black.
        scene: The rendered window, with its stretch, GSD and mask.
        facts: One line about the whole scene: size, type, CRS, GSD.
    """

    picture: Image
    scene: Scene
    facts: str

    @property
    def georef(self) -> GeoRef:
        """Transform and CRS of the chip's pixels."""
        return self.scene.georef


def read_chip(
    scene_path: str | Path,
    region: Region | None = None,
    bands: Sequence[int | str] | None = None,
    max_side_px: int = MAX_SIDE_PX,
) -> Chip:
    """Read a window of a scene as the picture that a model is shown.

    Args:
        scene_path: Any file that `geoprose.scenes.open_scene` takes.
        region: Part of the scene; the whole scene when None.
        bands: Bands for red, green and blue, or one for grey; the scene's own choice when None.
        max_side_px: Longest side of the picture.

    Raises:
        SceneError: If the file cannot be opened, the region lies outside, or the window holds no valid pixel.
    """
    from geoprose.core.errors import SceneError
    from geoprose.scenes.open import open_scene
    from geoprose.scenes.render import render_rgb, to_picture

    with open_scene(Path(scene_path)) as scene_file:
        window = None if region is None else scene_file.bbox(*region)
        width_px, height_px = (scene_file.width_px, scene_file.height_px) if window is None else _size(window)
        size_px = _fitted(width_px, height_px, max_side_px)
        scene = scene_file.read(window=window, size_px=size_px, bands=bands)
        facts = scene_facts(scene_file)
    if not scene.is_valid_HW.any():
        raise SceneError(
            f"{Path(scene_path).name}: the window holds only nodata, so there is nothing to see. Choose another --region."
        )
    rendered = render_rgb(scene)
    return Chip(to_picture(rendered), rendered, facts)


def scene_facts(scene_file: object) -> str:
    """Return "name  1933x1947 uint16  EPSG:32618  10 m" for an open scene."""
    name = Path(str(scene_file.path)).name  # type: ignore[attr-defined]
    size = f"{scene_file.width_px}x{scene_file.height_px} {scene_file.dtype}"  # type: ignore[attr-defined]
    georef: GeoRef = scene_file.georef  # type: ignore[attr-defined]
    gsd_m = scene_file.gsd_m  # type: ignore[attr-defined]
    crs = georef.crs if georef.crs is None or len(georef.crs) < 24 else "own CRS"
    return "  ".join([name, size, crs or "no CRS", *([] if gsd_m is None else [f"{gsd_m[0]:.4g} m"])])


def _fitted(width_px: int, height_px: int, longest_px: int) -> tuple[int, int] | None:
    """Return the size to read at; None when the window is small enough."""
    scale = longest_px / max(width_px, height_px)
    return None if scale >= 1 else (max(1, round(width_px * scale)), max(1, round(height_px * scale)))


def _size(window: object) -> tuple[int, int]:
    return round(window.width), round(window.height)  # type: ignore[attr-defined]
