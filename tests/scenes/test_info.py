import json

import numpy as np
import pytest
from shapely.geometry import Point, shape

from geoprose.geo.crs import to_lonlat
from geoprose.scenes.info import describe_scene, scene_table
from geoprose.scenes.read import read_scene
from tests.fixtures.make_scene import make_picture, make_scene


def test_the_facts_of_a_scene(tmp_path):
    mask = np.ones((64, 64), dtype=bool)
    made = make_scene(tmp_path / "a.tif", overviews=(2, 4), mask=mask, names=("red", "green", "blue", "nir"), nodata=3)
    facts = describe_scene(made.path)
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert facts["driver"] == "GTiff"
    assert facts["bytes"] == made.path.stat().st_size
    assert facts["bands"][3] == {"number": 4, "name": "nir", "dtype": "uint16", "nodata": 3.0}
    assert facts["crs"] == "EPSG:32633"
    assert facts["gsd_m"] == [10.0, 10.0]
    assert facts["bounds"]["native"] == [500_000, 4_999_360, 500_640, 5_000_000]
    assert facts["overviews"] == [[32, 32], [16, 16]]
    assert facts["block_px"] == [16, 16]
    assert (facts["mask"], facts["compression"], facts["interleave"]) == ("mask band", "deflate", "pixel")
    lon, lat = to_lonlat(500_320, 4_999_680, "EPSG:32633")
    assert shape(facts["footprint"]).covers(Point(lon, lat))
    west, south, east, north = facts["bounds"]["lonlat"]
    assert west < lon < east
    assert south < lat < north


def test_the_bounds_over_the_antimeridian_go_west_to_east(tmp_path):
    facts = describe_scene(make_scene(tmp_path / "a.tif", crs="EPSG:4326", gsd=0.5, origin=(170.0, 10.0)).path)
    assert facts["footprint"]["type"] == "MultiPolygon"
    assert facts["bounds"]["lonlat"] == pytest.approx([170, -22, -158, 10])


def test_a_picture_and_nan_nodata(tmp_path):
    facts = describe_scene(make_picture(tmp_path / "a.png"))
    assert (facts["crs"], facts["gsd_m"], facts["footprint"], facts["bounds"]["lonlat"]) == (None, None, None, None)
    assert "No CRS" in facts["notes"][0]
    made = make_scene(tmp_path / "a.tif", dtype="float32", nodata=float("nan"))
    assert describe_scene(made.path)["bands"][0]["nodata"] == "nan"


def test_the_table_shows_every_band(tmp_path):
    from rich.console import Console

    made = make_scene(tmp_path / "a.tif", names=("red", "green", "blue", "[bold]"))
    console = Console(record=True, width=100, markup=False)
    console.print(scene_table(describe_scene(made.path)))
    text = console.export_text()
    for expected in ("a.tif", "EPSG:32633", "10 m x 10 m", "red", "[bold]", "uint16", "64 x 64 px, 4 bands"):
        assert expected in text.replace("\n", "")


@pytest.mark.data
def test_every_real_geotiff(shared_data):
    paths = sorted(shared_data.rglob("*.tif"))
    assert paths
    for path in paths:
        facts = describe_scene(path)
        whole, small = read_scene(path), read_scene(path, size_px=64)
        assert whole.pixels_CHW.shape == (len(whole.bands), facts["height_px"], facts["width_px"])
        assert max(small.pixels_CHW.shape[1:]) == 64
        assert facts["crs"] is not None
        assert shape(facts["footprint"]).is_valid
        assert min(facts["gsd_m"]) > 0
        if not np.iscomplexobj(whole.pixels_CHW):
            means = [chip.pixels_CHW[:, chip.is_valid_HW].mean() for chip in (whole, small)]
            assert means[1] == pytest.approx(means[0], rel=0.05), path.name
