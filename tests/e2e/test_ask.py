"""`geoprose ask` through the real command line: a GeoTIFF in, GeoJSON out, coordinates checked; bad input refused."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import geopandas
import numpy as np
import pytest

from geoprose.cli.main import main
from tests.fixtures.make_scene import make_scene
from tests.fixtures.taught import BOX_ANSWER, BOX_QUESTION, save_taught

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def system_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_taught(tmp_path_factory.mktemp("systems") / "taught")


def _run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: object
) -> tuple[int, str, str]:
    """Run the command line in this process: (exit code, stdout, stderr)."""
    monkeypatch.setattr(sys, "argv", ["geoprose", *(str(argument) for argument in arguments)])
    code = 0
    try:
        main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_rotated_geotiff_becomes_geojson_in_a_process_of_its_own(system_dir: Path, tmp_path: Path) -> None:
    scene = make_scene(tmp_path / "port.tif", rotation_deg=20)
    out = tmp_path / "port.geojson"
    command = [sys.executable, "-c", "from geoprose.cli.main import main; main()", "ask"]
    options = ["--system", str(system_dir), "--out", str(out)]
    done = subprocess.run(
        [*command, str(scene.path), BOX_QUESTION, *options], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[0] == BOX_ANSWER
    assert f"boxes: 1 -> {out}" in done.stdout
    assert "port.tif  64x64 uint16  EPSG:32633" in done.stderr
    placed = geopandas.read_file(out).to_crs("EPSG:32633").geometry.iloc[0]
    a, b, c, d, e, f = scene.transform
    corners = [(a * x + b * y + c, d * x + e * y + f) for x, y in ((16, 32), (48, 32), (48, 64), (16, 64))]
    nearest = [min(np.hypot(x - px, y - py) for px, py in placed.exterior.coords) for x, y in corners]
    assert max(nearest) < 0.01  # metres
    assert placed.area == pytest.approx(320 * 320, rel=1e-4)


def test_a_region_and_json(
    system_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = make_scene(tmp_path / "scene.tif", crs="EPSG:4326", gsd=0.01, origin=(10.0, 50.0))
    region = "10.16,49.52,10.48,49.84"
    code, out, _ = _run(
        capsys, monkeypatch, "ask", scene.path, BOX_QUESTION, "--system", system_dir, "--region", region, "--json"
    )
    assert code == 0
    row = json.loads(out)
    ring = np.array(row["geojson"]["features"][0]["geometry"]["coordinates"][0])
    assert [*ring.min(0), *ring.max(0)] == pytest.approx([10.24, 49.52, 10.40, 49.68], abs=1e-6)
    assert row["boxes_scene_px"] == [pytest.approx([24, 32, 40, 48])]


def test_a_scene_without_crs_answers_in_pixels_and_says_so(
    system_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = make_scene(tmp_path / "plain.tif", crs=None, bands=3, dtype="uint8")
    code, out, err = _run(capsys, monkeypatch, "ask", scene.path, BOX_QUESTION, "--system", system_dir)
    assert code == 0
    assert out.split("\n")[:2] == [BOX_ANSWER, "boxes: 1 in pixels: 16 32 48 64"]
    assert "no CRS" in err
    target = tmp_path / "answer.geojson"
    code, out, err = _run(capsys, monkeypatch, "ask", scene.path, BOX_QUESTION, "--system", system_dir, "--out", target)
    assert (code, out) == (4, "")  # refused before the model runs
    assert "GeoJSON needs longitude and latitude" in err
    assert not target.exists()


def test_without_a_trained_system_the_way_to_one_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    scene = make_scene(tmp_path / "scene.tif", bands=3, dtype="uint8")
    code, out, err = _run(capsys, monkeypatch, "ask", scene.path, "Any water?")
    assert (code, out) == (3, "")
    assert "make demo" in err


def test_control_characters_of_an_answer_are_escaped() -> None:
    from geoprose.cli.ask import _printable

    assert _printable("a\x1b[31mb\nc\u00e9") == "a\\x1b[31mb\nc\u00e9"


def _bad_scene(kind: str, folder: Path) -> Path:
    path = folder / f"{kind}.tif"
    if kind == "truncated":
        content = make_scene(folder / "whole.tif", compress=None).path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
    elif kind == "vrt":
        path.write_text("<VRTDataset rasterXSize='1' rasterYSize='1'></VRTDataset>")
    elif kind == "nodata":
        make_scene(path, pixels=np.zeros((3, 16, 16), np.uint8), nodata=0)
    return path


@pytest.mark.parametrize("kind", ["missing", "truncated", "vrt", "nodata"])
def test_bad_scenes_exit_4_before_any_model_is_loaded(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "answer.geojson"
    path = _bad_scene(kind, tmp_path)
    code, out, err = _run(capsys, monkeypatch, "ask", path, "Any water?", "--system", "no-such-system", "--out", target)
    assert (code, out) == (4, "")
    assert err.startswith("error: ")
    assert path.name in err
    assert not target.exists()


def test_a_region_outside_the_scene_names_the_extent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = make_scene(tmp_path / "scene.tif", crs="EPSG:4326", gsd=0.01, origin=(10.0, 50.0))
    code, out, err = _run(
        capsys, monkeypatch, "ask", scene.path, "Any water?", "--region", "80,10,81,11", "--system", "demo"
    )
    assert (code, out) == (4, "")
    assert "does not meet scene.tif" in err
    assert "10,49.36,10.64,50" in err


@pytest.mark.parametrize("region", ["1,2,3", "a,b,c,d", "5,5,1,9"])
def test_a_malformed_region_is_a_usage_error(
    region: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = _run(
        capsys, monkeypatch, "ask", tmp_path / "x.tif", "Any water?", "--region", region, "--system", "demo"
    )
    assert code == 2
    assert region in err


def test_an_unknown_preset_lists_close_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = make_scene(tmp_path / "scene.tif")
    target = tmp_path / "answer.geojson"
    code, out, err = _run(capsys, monkeypatch, "ask", scene.path, "Any water?", "--system", "geochatt", "--out", target)
    assert (code, out) == (2, "")
    assert "Did you mean 'geochat'" in err
    assert not target.exists()


@pytest.mark.parametrize("fault", ["cut", "text"])
def test_corrupt_weights_are_refused(
    fault: str, system_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    scene = make_scene(tmp_path / "scene.tif")
    damaged = tmp_path / "damaged"
    shutil.copytree(system_dir, damaged)
    weights = damaged / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[: len(content) // 2] if fault == "cut" else b"these are no weights")
    target = tmp_path / "answer.geojson"
    code, out, err = _run(capsys, monkeypatch, "ask", scene.path, "Any water?", "--system", damaged, "--out", target)
    assert code in (1, 3)
    assert out == ""
    assert "model.safetensors" in err
    assert not target.exists()
