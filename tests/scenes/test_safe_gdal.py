"""Files that make GDAL read other files or addresses: neither may happen, whatever the file is called."""

import http.server
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from geoprose.core.errors import SceneError
from geoprose.scenes.info import describe_scene
from geoprose.scenes.open import open_scene
from geoprose.scenes.read import read_scene
from geoprose.scenes.safe_gdal import rasterio
from tests.fixtures.make_scene import make_scene

MARKER = b"SECRET-MARKER-0123456789" * 200


@pytest.fixture
def canary():
    """A loopback server that counts every request."""
    requests = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            self.send_response(404)
            self.end_headers()

        do_HEAD = do_GET  # noqa: N815 - the name is http.server's

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}", requests
    server.shutdown()
    server.server_close()


def vrt_raw(target, relative=False):
    flag = int(relative)
    return f"""<VRTDataset rasterXSize="60" rasterYSize="60"><VRTRasterBand dataType="Byte" band="1"
 subClass="VRTRawRasterBand"><SourceFilename relativeToVRT="{flag}">{target}</SourceFilename>
 <ImageOffset>0</ImageOffset><PixelOffset>1</PixelOffset><LineOffset>60</LineOffset></VRTRasterBand></VRTDataset>"""


def vrt_simple(target, relative=False):
    flag = int(relative)
    return f"""<VRTDataset rasterXSize="60" rasterYSize="60"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>
 <SourceFilename relativeToVRT="{flag}">{target}</SourceFilename><SourceBand>1</SourceBand></SimpleSource>
 </VRTRasterBand></VRTDataset>"""


def wms(host):
    return f"""<GDAL_WMS><Service name="TMS"><ServerUrl>http://{host}/${{z}}/${{x}}/${{y}}.png</ServerUrl></Service>
 <DataWindow><UpperLeftX>-180</UpperLeftX><UpperLeftY>90</UpperLeftY><LowerRightX>180</LowerRightX>
 <LowerRightY>-90</LowerRightY><TileLevel>2</TileLevel></DataWindow><Projection>EPSG:4326</Projection>
 <BandsCount>3</BandsCount></GDAL_WMS>"""


def recipes(host):
    return {
        "wms": wms(host),
        "wms-url": f"WMS:http://{host}/wms?SERVICE=WMS&VERSION=1.1.1&REQUEST=GetCapabilities",
        "vrt-vsicurl": vrt_simple(f"/vsicurl/http://{host}/a.tif"),
        "vrt-raw-vsicurl": vrt_raw(f"/vsicurl/http://{host}/a.bin"),
        "wcs": f"<WCS_GDAL><ServiceURL>http://{host}/wcs</ServiceURL><CoverageName>a</CoverageName></WCS_GDAL>",
        "wmts": f"<GDAL_WMTS><GetCapabilitiesUrl>http://{host}/wmts</GetCapabilitiesUrl></GDAL_WMTS>",
        "gti": f"<GDALTileIndexDataset><IndexDataset>/vsicurl/http://{host}/i.gpkg</IndexDataset></GDALTileIndexDataset>",
        "stacta": json.dumps({"type": "Feature", "stac_version": "1.0.0", "stac_extensions": ["tiled-assets"],
                              "asset_templates": {"a": {"href": f"http://{host}/{{TileMatrix}}.tif"}}}),
        "mrf": f"<MRF_META><CachedSource><Source>/vsicurl/http://{host}/a.tif</Source></CachedSource></MRF_META>",
        "bom-vrt": "\ufeff" + vrt_simple(f"/vsicurl/http://{host}/b.tif"),
        "late-vrt": "\n" * 5000 + vrt_simple(f"/vsicurl/http://{host}/c.tif"),
        "http": f"http://{host}/d.tif",
    }  # fmt: skip


@pytest.mark.parametrize("suffix", [".tif", ".vrt", ".png"])
def test_recipes_named_like_scenes_send_no_request(tmp_path, canary, suffix):
    host, requests = canary
    for name, text in recipes(host).items():
        path = tmp_path / f"{name}{suffix}"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(SceneError, match="so it is not opened"):
            read_scene(path)
    assert requests == []


@pytest.mark.parametrize("name", ["wms", "vrt-vsicurl"])
def test_the_canary_can_be_reached(tmp_path, canary, name):
    """Negative control: plain rasterio, in a process without our settings, does send requests for the same files."""
    host, requests = canary
    path = tmp_path / "evil.tif"
    path.write_text(recipes(host)[name], encoding="utf-8")
    code = "import rasterio, sys\ntry: rasterio.open(sys.argv[1]).read(1, out_shape=(1, 8, 8))\nexcept Exception: pass"
    clean = {"PATH": "/usr/bin:/bin", "GDAL_HTTP_TIMEOUT": "5"}
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, str(path)], check=True, env=clean, timeout=60)
    assert requests, "the attack no longer works on rasterio itself; the test above proves nothing"


@pytest.mark.parametrize(
    "text",
    [
        "/vsicurl/http://{host}/a.tif", "//vsicurl/http://{host}/a.tif", "http://{host}/a.tif", "s3://bucket/a.tif",
        "/vsizip//vsicurl/http://{host}/a.zip/a.tif", "WMS:http://{host}/?", "MEM:::DATAPOINTER=1,PIXELS=2,LINES=2",
        "GTIFF_DIR:1:a.tif", "GTIFF_RAW:a.tif", "/vsistdin/", "/vsimem/a.tif", "zip+https://{host}/a.zip!a.tif",
        "NETCDF:a.nc:b", "vrt:///a.tif", "<VRTDataset rasterXSize='1' rasterYSize='1'></VRTDataset>", "a.tif\x00.png",
        "\\vsicurl\\http", "", ".", "x" * 5000,
    ],
)  # fmt: skip
def test_addresses_and_connection_strings_are_refused(tmp_path, canary, monkeypatch, text):
    host, requests = canary
    monkeypatch.chdir(tmp_path)
    make_scene(tmp_path / "a.tif")
    with pytest.raises(SceneError):
        open_scene(text.format(host=host))
    assert requests == []


def test_a_file_that_is_named_like_a_connection_is_only_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = make_scene(tmp_path / "a.tif")
    (tmp_path / "a.tif").rename(tmp_path / "GTIFF_DIR:1:a.tif")
    assert (read_scene("GTIFF_DIR:1:a.tif").pixels_CHW == made.pixels_CHW).all()


@pytest.mark.parametrize("build", [vrt_raw, vrt_simple])
@pytest.mark.parametrize("place", ["absolute", "sibling", "parent"])
def test_a_vrt_in_disguise_reveals_nothing(tmp_path, build, place):
    folder = tmp_path / "upload"
    folder.mkdir()
    secret = (tmp_path if place == "parent" else folder) / "secret.txt"
    secret.write_bytes(MARKER)
    target = {"absolute": secret, "sibling": "secret.txt", "parent": "../secret.txt"}[place]
    path = folder / "scene.tif"
    path.write_text(build(target, place != "absolute"))
    with pytest.raises(SceneError, match="VRT"):
        read_scene(path)


def neighbours(folder, name):
    """Every file beside a scene that GDAL would read, each carrying the marker or a lie."""
    lie = np.full((64, 64), 83, dtype=np.uint8)
    make_scene(folder / f"{name}.ovr", pixels=lie[None, :32, :32], crs=None, tile_px=None)
    make_scene(folder / f"{name}.msk", pixels=np.zeros((1, 64, 64), dtype=np.uint8), crs=None, tile_px=None)
    stem = name.rsplit(".", 1)[0]
    for world_file in (f"{stem}.tfw", f"{stem}.wld", f"{stem}.pgw", f"{name}w"):
        (folder / world_file).write_text("1\n0\n0\n-1\n777\n777\n")
    (folder / f"{stem}.tab").write_text("!table\n!version 300\n")
    (folder / f"{name}.aux.xml").write_text(
        f"""<PAMDataset><SRS>EPSG:4326</SRS><GeoTransform>777,1,0,777,0,-1</GeoTransform><Metadata><MDI key="k">
{MARKER.decode()}</MDI></Metadata><PAMRasterBand band="1"><Description>{MARKER.decode()[:48]}</Description>
<NoDataValue>5</NoDataValue></PAMRasterBand></PAMDataset>"""
    )


@pytest.mark.parametrize("has_crs", [True, False])
def test_neighbours_change_nothing(tmp_path, has_crs):
    alone, crowded = tmp_path / "alone", tmp_path / "crowded"
    for folder in (alone, crowded):
        folder.mkdir()
        transform = None if has_crs else (1, 0, 0, 0, 1, 0)
        make_scene(folder / "a.tif", dtype="uint8", bands=1, crs="EPSG:32633" if has_crs else None, transform=transform)
    neighbours(crowded, "a.tif")
    with open_scene(alone / "a.tif") as one, open_scene(crowded / "a.tif") as two:
        for options in ({}, {"size_px": 16}, {"size_px": 31}):
            first, second = one.read(**options), two.read(**options)
            assert (first.pixels_CHW == second.pixels_CHW).all()
            assert (first.is_valid_HW == second.is_valid_HW).all()
            assert (first.georef, first.bands) == (second.georef, second.bands)
        assert not two.has_overviews
    facts = [describe_scene(folder / "a.tif") for folder in (alone, crowded)]
    assert "SECRET" not in json.dumps(facts)
    for found in facts:
        del found["path"]
    assert facts[0] == facts[1]
    assert sorted(p.name for p in alone.iterdir()) == ["a.tif"], "reading writes no neighbour"


def test_rasterio_itself_reads_the_neighbours(tmp_path):
    """Negative control of the test above, and what is lost: documented in the module."""
    make_scene(tmp_path / "a.tif", dtype="uint8", bands=1)
    neighbours(tmp_path, "a.tif")
    with rasterio.open(tmp_path / "a.tif") as dataset:
        assert dataset.tags().get("k", "").strip().startswith("SECRET")
        assert dataset.overviews(1) == [2]
        assert dataset.nodata == 5


def test_internal_masks_and_overviews_work(tmp_path):
    mask = np.ones((64, 64), dtype=bool)
    mask[:, 40:] = False
    make_scene(tmp_path / "a.tif", mask=mask, overviews=(2, 4))
    with open_scene(tmp_path / "a.tif") as scene:
        assert scene.has_overviews
        assert (scene.read().is_valid_HW == mask).all()
        assert (scene.read(size_px=16).is_valid_HW == mask[::4, ::4]).all()


def run(code, *arguments):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GDAL_")}
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *map(str, arguments)],
        capture_output=True, text=True, timeout=120, check=False, env=clean,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout.strip().splitlines()


def test_recipe_drivers_do_not_exist_when_geoprose_comes_first():
    code = (
        "from geoprose.scenes.safe_gdal import rasterio, SKIPPED_DRIVERS\n"
        "with rasterio.Env() as env: print(sorted(set(SKIPPED_DRIVERS.split()) & set(env.drivers())))\n"
    )
    assert run(code) == ["[]"]


def test_the_named_driver_guards_when_rasterio_came_first(tmp_path):
    """The drivers are registered before geoprose: the environment is too late, the explicit driver still refuses."""
    secret = tmp_path / "secret.txt"
    secret.write_bytes(MARKER)
    evil = tmp_path / "evil.tif"
    evil.write_text(vrt_raw("secret.txt", relative=True))
    code = (
        "import sys, rasterio\n"
        "with rasterio.Env() as env: print('VRT' in env.drivers())\n"
        "print(rasterio.open(sys.argv[1]).read(1).tobytes()[:6])\n"
        "from geoprose import read_scene\n"
        "from geoprose.core.errors import SceneError\n"
        "from geoprose.scenes.safe_gdal import gdal_options, open_dataset\n"
        "with rasterio.Env() as env: print('VRT' in env.drivers())\n"
        "try: read_scene(sys.argv[1])\nexcept SceneError: print('refused')\n"
        "try:\n    with gdal_options(): open_dataset(sys.argv[1], 'GTiff')\n"
        "except rasterio.errors.RasterioIOError: print('refused by the driver')\n"
    )
    assert run(code, evil) == ["True", "b'SECRET'", "True", "refused", "refused by the driver"]


def test_the_users_own_gdal_settings_are_kept():
    code = (
        "import os\nos.environ['GDAL_SKIP'] = 'AAIGrid,VRT'\nos.environ['GDAL_CACHEMAX'] = '17'\n"
        "import geoprose.scenes.safe_gdal\n"
        "print(os.environ['GDAL_SKIP'].split()[:2], os.environ['GDAL_SKIP'].split().count('VRT'))\n"
        "print(os.environ['GDAL_CACHEMAX'])\n"
    )
    assert run(code) == ["['AAIGrid', 'VRT'] 1", "17"]


def test_rasterio_is_imported_in_one_place(repository):
    found = [
        path.name
        for path in (repository / "src" / "geoprose" / "scenes").glob("*.py")
        if path.name != "safe_gdal.py" and re.search(r"^\s*(import|from) rasterio", path.read_text(), re.MULTILINE)
    ]
    assert found == [], "import rasterio from geoprose.scenes.safe_gdal"
