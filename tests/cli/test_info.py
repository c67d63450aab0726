"""``geoprose info`` as a user runs it: exit codes, stdout and stderr."""

import json
import subprocess
import sys

import numpy as np
import pytest

from tests.fixtures.make_scene import make_scene

MAIN = "import sys; from geoprose.cli.main import main; sys.argv[0] = 'geoprose'; main()"


def geoprose(*arguments):
    command = [sys.executable, "-c", MAIN, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_good_scene(tmp_path):
    made = make_scene(tmp_path / "a.tif", mask=np.ones((64, 64), dtype=bool))
    result = geoprose("info", made.path, "--json")
    assert (result.returncode, result.stderr) == (0, "")
    facts = json.loads(result.stdout)
    assert facts["crs"] == "EPSG:32633"
    assert facts["mask"] == "mask band"
    result = geoprose("info", made.path)
    assert result.returncode == 0
    assert "EPSG:32633" in result.stdout


@pytest.mark.parametrize("kind", ["missing", "truncated", "vrt", "usage"])
def test_bad_input(tmp_path, kind):
    path = tmp_path / "b.tif"
    made = make_scene(tmp_path / "a.tif")
    if kind == "truncated":
        path.write_bytes(made.path.read_bytes()[:100])
    if kind == "vrt":
        path.write_text("<VRTDataset rasterXSize='1' rasterYSize='1'></VRTDataset>")
    result = geoprose("info", *([] if kind == "usage" else [path, "--json"]))
    assert result.stdout == ""
    assert result.returncode == (2 if kind == "usage" else 4)
    if kind != "usage":
        assert result.stderr.startswith("error: ")
        assert "b.tif" in result.stderr
        assert "Traceback" not in result.stderr
