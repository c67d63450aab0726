"""From a scene file to the chip that a model is shown: one window, three bands, eight bits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

    from geoprose.core.types import GeoRef
    from geoprose.scenes.bands import BandRequest
    from geoprose.scenes.open import SceneFile
    from geoprose.scenes.scene import Scene

MAX_SIDE_PX = 1024
"""Longer sides are read decimated (through overviews where there are any): models see a few hundred pixels anyway."""

LONGEST_CRS = 24
"""Longer ones are WKT, too long for a line."""

Region = tuple[float, float, float, float]
"""``(min_x, min_y, max_x, max_y)`` in degrees, or in pixels for a scene without CRS."""


@dataclass(frozen=True)
class Chip:
    """A picture and where it lies.

    Attributes:
        picture: RGB, 8 bits; invalid pixels are black.
        scene: The rendered window, with its stretch, GSD and mask.
        scene_georef: Transform and CRS of the whole scene.
        facts: One line about the whole scene: size, type, CRS, GSD.
    """

    picture: Image
    scene: Scene
    scene_georef: GeoRef
    facts: str

    @property
    def georef(self) -> GeoRef:
        """Transform and CRS of the chip's pixels."""
        return self.scene.georef


def read_chip(
    scene_path: str | Path,
    region: Region | None = None,
    bands: BandRequest = None,
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
    from geoprose.scenes.open import open_scene
    from geoprose.scenes.render import render_rgb, to_picture

    with open_scene(Path(scene_path)) as scene_file:
        scene = scene_file.read(region=region, bands=bands, size_px=max_side_px)
        facts, scene_georef = scene_facts(scene_file), scene_file.georef
    # The bands asked for are red, green and blue in that order, whatever they are called.
    rendered = render_rgb(scene, None if bands is None else list(range(1, min(len(scene.bands), 3) + 1)))
    return Chip(to_picture(rendered), rendered, scene_georef, facts)


def scene_facts(scene_file: SceneFile) -> str:
    """Return "name  1933x1947 uint16  EPSG:32618  10 m" for an open scene."""
    crs, gsd_m = scene_file.georef.crs or "no CRS", scene_file.gsd_m
    size = f"{scene_file.width_px}x{scene_file.height_px} {scene_file.dtype}"
    ground = [] if gsd_m is None else [f"{gsd_m[0]:.4g} m"]
    return "  ".join([scene_file.path.name, size, crs if len(crs) <= LONGEST_CRS else "own CRS", *ground])
