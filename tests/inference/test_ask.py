"""The line scenes, processing, models, answers as one call."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import GeoreferenceError, InputError
from geoprose.inference.ask import ask
from geoprose.inference.chip import MAX_SIDE_PX, read_chip
from tests.fixtures.make_scene import make_scene
from tests.fixtures.taught import BOX_ANSWER, BOX_QUESTION, taught_system

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.systems.build import System


@pytest.fixture(scope="module")
def system() -> System:
    return taught_system()


def test_a_georeferenced_scene_gives_geojson_where_the_box_is(system: System, tmp_path: Path) -> None:
    import geopandas

    scene = make_scene(tmp_path / "scene.tif")
    answer = ask(scene.path, BOX_QUESTION, system)
    assert answer.text == BOX_ANSWER
    assert answer.note == ""
    assert answer.gsd_m == pytest.approx((10, 10), rel=1e-3)
    assert answer.stretch is not None
    path = answer.to_file(tmp_path / "answer.geojson")
    placed = geopandas.read_file(path).to_crs("EPSG:32633")
    # 64 x 64 px of 10 m from (500000, 5000000): x 0.25..0.75, y 0.5..1 from the top
    assert placed.total_bounds == pytest.approx([500160, 4999360, 500480, 4999680], abs=0.01)


def test_a_region_places_the_box_inside_it(system: System, tmp_path: Path) -> None:
    scene = make_scene(tmp_path / "scene.tif", crs="EPSG:4326", gsd=0.01, origin=(10.0, 50.0))
    answer = ask(scene.path, BOX_QUESTION, system, region=(10.16, 49.52, 10.48, 49.84))
    assert answer.geojson is not None
    ring = answer.geojson["features"][0]["geometry"]["coordinates"][0]
    xs, ys = [x for x, _ in ring], [y for _, y in ring]
    assert (min(xs), min(ys), max(xs), max(ys)) == pytest.approx((10.24, 49.52, 10.40, 49.68), abs=1e-6)


def test_a_scene_without_crs_gives_scene_pixels_and_a_note(system: System, tmp_path: Path) -> None:
    scene = make_scene(tmp_path / "plain.tif", crs=None, bands=3, dtype="uint8")
    whole = ask(scene.path, BOX_QUESTION, system)
    part = ask(scene.path, BOX_QUESTION, system, region=(32, 0, 64, 32))
    assert whole.geojson is None
    assert "no CRS" in whole.note
    assert whole.boxes_scene_px == (pytest.approx((16, 32, 48, 64)),)
    assert part.boxes_scene_px == (pytest.approx((40, 16, 56, 32)),)
    with pytest.raises(GeoreferenceError, match=r"plain\.tif has no CRS"):
        whole.to_file(tmp_path / "answer.geojson")
    assert not (tmp_path / "answer.geojson").exists()


def test_the_answer_is_one_json_object(system: System, tmp_path: Path) -> None:
    scene = make_scene(tmp_path / "scene.tif")
    answer = ask(scene.path, BOX_QUESTION, system)
    row = json.loads(json.dumps(answer.to_dict(), allow_nan=False))
    assert row["text"] == BOX_ANSWER
    assert row["status"] == "ok"
    assert row["boxes_chip_px"][0]["box"] == [16, 32, 48, 64]
    assert row["stretch"]["kind"] == "percentile"


@pytest.mark.parametrize("question", ["", "   ", "x" * 5000])
def test_empty_and_endless_questions_are_refused(system: System, tmp_path: Path, question: str) -> None:
    with pytest.raises(InputError, match="characters"):
        ask(tmp_path / "never-opened.tif", question, system)


def test_large_scenes_are_read_decimated(tmp_path: Path) -> None:
    scene = make_scene(tmp_path / "large.tif", width=2 * MAX_SIDE_PX, height=512, bands=3, dtype="uint8")
    chip = read_chip(scene.path)
    assert chip.picture.size == (MAX_SIDE_PX, 256)
    assert chip.georef.transform[0] == pytest.approx(20)


def test_the_bands_asked_for_are_red_green_and_blue(tmp_path: Path) -> None:
    import numpy as np

    scene = make_scene(tmp_path / "bands.tif", bands=3, dtype="uint8")
    straight = np.asarray(read_chip(scene.path, bands=[1, 2, 3]).picture)
    reversed_ = np.asarray(read_chip(scene.path, bands=[3, 2, 1]).picture)
    np.testing.assert_array_equal(straight, reversed_[..., ::-1])
