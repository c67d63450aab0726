"""Read a scene and its metadata, and save a part of it as a picture. Needs no torch.

python examples/02_read_a_scene.py port.tif
"""

from __future__ import annotations

import sys
from pathlib import Path

import geoprose
from geoprose.scenes.render import render_rgb, to_picture


def main(path: str) -> None:
    """Print what the scene is, read its upper-left quarter, and write a PNG."""
    with geoprose.open(path) as scene_file:
        print(f"{scene_file.width_px} x {scene_file.height_px} px, bands {', '.join(scene_file.bands)}")
        print(f"CRS {scene_file.georef.crs}, GSD {scene_file.gsd_m} m, overviews {scene_file.has_overviews}")
        quarter = (0, 0, scene_file.width_px // 2, scene_file.height_px // 2)
        scene = scene_file.read(window=quarter, size_px=256)
    print(f"read {scene.pixels_CHW.shape}, {100 * scene.is_valid_HW.mean():.0f} % valid, GSD {scene.gsd_m} m")
    rendered = render_rgb(scene)
    print(f"stretch {rendered.stretch}")
    out = Path(path).with_suffix(".png")
    to_picture(rendered).save(out)
    print(f"wrote {out}")


if __name__ == "__main__":
    main(sys.argv[1])
