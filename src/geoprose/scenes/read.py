"""Open, read, close in one call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from geoprose.scenes.open import Bounds, open_scene

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from geoprose.scenes.bands import BandRequest
    from geoprose.scenes.scene import Scene
    from geoprose.scenes.window import Window


def read_scene(
    path: str | os.PathLike[str],
    window: Window | Sequence[int] | None = None,
    region: Bounds | None = None,
    bands: BandRequest = None,
    size_px: int | tuple[int, int] | None = None,
) -> Scene:
    """Read part of a scene; the arguments are those of `geoprose.scenes.open.SceneFile.read`.

    To read several windows, open the scene once with `geoprose.scenes.open.open_scene`.

    Raises:
        SceneError: If the file is refused or damaged, or the window, region or bands do not fit.
    """
    with open_scene(path) as scene_file:
        return scene_file.read(window, region, bands, size_px)
