from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import rasterio
from affine import Affine

from geoprose.assets import specs
from geoprose.assets.doctor import doctor
from geoprose.assets.resolve import resolve
from geoprose.assets.specs import BandStack
from geoprose.assets.stack import stack_bands
from geoprose.core.errors import AssetError
from tests.fixtures.packages import asset_entry, write_table

if TYPE_CHECKING:
    from pathlib import Path

STACK = BandStack.model_validate(
    {
        "file": "out.tif",
        "nodata": 0,
        "bands": [{"name": "B02", "file": "fine.tif"}, {"name": "B11", "file": "coarse.tif"}],
    }
)


def write_band(path: Path, pixels: np.ndarray, left: float, top: float, step: float, crs: str = "EPSG:32618") -> None:
    profile = {"driver": "GTiff", "width": pixels.shape[1], "height": pixels.shape[0], "count": 1, "crs": crs}
    with rasterio.open(
        path, "w", dtype=pixels.dtype, transform=Affine(step, 0.0, left, 0.0, -step, top), **profile
    ) as out:
        out.write(pixels, 1)


def bands(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    fine = np.arange(1, 8 * 7 + 1, dtype=np.uint16).reshape(8, 7)
    coarse = (1000 + np.arange(16, dtype=np.uint16)).reshape(4, 4)
    write_band(folder / "fine.tif", fine, 100.0, 200.0, 10.0)
    write_band(folder / "coarse.tif", coarse, 90.0, 210.0, 20.0)
    return fine, coarse


def test_values_stay_where_they_are_on_the_ground(tmp_path: Path) -> None:
    fine, coarse = bands(tmp_path)
    stack_bands(STACK, tmp_path, tmp_path / "out.tif")
    with rasterio.open(tmp_path / "out.tif") as out:
        # fine covers x 100..170, y 200..120; coarse covers x 90..170, y 210..130: 7 columns and 7 rows are common
        assert out.shape == (7, 7)
        assert tuple(out.transform)[:6] == (10.0, 0.0, 100.0, 0.0, -10.0, 200.0)
        assert out.descriptions == ("B02", "B11")
        assert out.nodata == 0
        assert out.crs.to_epsg() == 32618
        np.testing.assert_array_equal(out.read(1), fine[:7])
        rows, columns = np.arange(7), np.arange(7)
        expected = coarse[((rows * 10 + 15) // 20)[:, None], ((columns * 10 + 15) // 20)[None, :]]
        np.testing.assert_array_equal(out.read(2), expected)


def test_other_crs_and_no_overlap_are_refused(tmp_path: Path) -> None:
    bands(tmp_path)
    write_band(tmp_path / "coarse.tif", np.ones((4, 4), np.uint16), 90.0, 210.0, 20.0, crs="EPSG:32617")
    with pytest.raises(AssetError, match="another CRS"):
        stack_bands(STACK, tmp_path, tmp_path / "out.tif")
    write_band(tmp_path / "coarse.tif", np.ones((4, 4), np.uint16), 9000.0, 210.0, 20.0)
    with pytest.raises(AssetError, match="common ground"):
        stack_bands(STACK, tmp_path, tmp_path / "out.tif")


def test_asset_with_a_stack_resolves_to_the_geotiff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bands(tmp_path)
    files = {name: (tmp_path / name).read_bytes() for name in ("fine.tif", "coarse.tif")}
    source = {"type": "local", "path": str(tmp_path)}
    entry = asset_entry(files, [source], stack=STACK.model_dump(mode="json"))
    monkeypatch.setattr(specs, "TABLE_PATH", write_table(tmp_path / "t.yaml", {"scene": entry}))
    cache = tmp_path / "cache"
    path = resolve("scene", cache)
    assert path.name == "out.tif"
    assert [report.status for report in doctor(cache)] == ["present"]
    content = path.read_bytes()
    path.write_bytes(content[:-5])
    assert [report.status for report in doctor(cache)] == ["mismatched"]
    assert resolve("scene", cache).read_bytes() == content
