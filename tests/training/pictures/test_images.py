"""Pictures that cannot be read are counted and named."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from geoprose.core.errors import DataError
from geoprose.training.pictures.images import read_picture, scan_images

if TYPE_CHECKING:
    from pathlib import Path


def _pictures(folder: Path, count: int) -> list[Path]:
    paths = [folder / f"{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        Image.new("L", (4, 4), number).save(path)
    return paths


def test_pictures_become_rgb(tmp_path: Path) -> None:
    picture = read_picture(_pictures(tmp_path, 2)[1])
    assert picture.mode == "RGB"
    assert picture.getpixel((0, 0)) == (1, 1, 1)


def test_unreadable_images_are_skipped_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    paths = _pictures(tmp_path, 4)
    paths[1].write_bytes(paths[1].read_bytes()[:40])
    paths[2].unlink()
    scan = scan_images(paths + paths, max_unreadable_fraction=0.5)
    assert list(scan.digests) == [paths[0], paths[3]]
    assert set(scan.unreadable) == {paths[1], paths[2]}
    assert "2.png does not exist" in caplog.text


def test_what_was_decoded_before_is_not_decoded_again(tmp_path: Path) -> None:
    """A file that ends early has a good header: known as decoded it passes, unknown it does not."""
    path = _pictures(tmp_path, 1)[0]
    path.write_bytes(path.read_bytes()[:45])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    scan = scan_images([path], 0.0, {digest})
    assert (scan.digests, scan.sizes) == ({path: digest}, {path: (4, 4)})
    with pytest.raises(DataError, match="1 of 1 images"):
        scan_images([path], 0.0, {"another"})


def test_too_many_stop_the_run(tmp_path: Path) -> None:
    paths = _pictures(tmp_path, 4)
    paths[1].write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"1 of 4 images.*\n.*1\.png"):
        scan_images(paths, max_unreadable_fraction=0.1)


def test_scenes_are_rendered(tmp_path: Path) -> None:
    import numpy as np
    import rasterio
    from rasterio import Affine

    path = tmp_path / "scene.tif"
    profile = {"driver": "GTiff", "width": 8, "height": 6, "count": 3, "dtype": "uint8"}
    with rasterio.open(path, "w", crs="EPSG:32631", transform=Affine(10, 0, 0, 0, -10, 0), **profile) as scene:
        scene.write(np.full((3, 6, 8), 90, dtype=np.uint8))
    picture = read_picture(path)
    assert picture.size == (8, 6)
    assert picture.getpixel((0, 0)) == (90, 90, 90)
