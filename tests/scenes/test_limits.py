"""Hostile sizes (pixel bombs, sparse giants): refused by arithmetic, quickly, or read within the limits."""

import struct
import time
import zlib

import numpy as np
import pytest

from geoprose.core.errors import SceneError
from geoprose.scenes.limits import Deadline, ReadLimits
from geoprose.scenes.open import open_scene
from geoprose.scenes.safe_gdal import gdal_options, rasterio
from tests.fixtures.make_scene import make_picture, make_scene


def sparse(path, width, height, count=4, dtype="uint8", **options):
    profile = {"driver": "GTiff", "width": width, "height": height, "count": count, "dtype": dtype, "crs": "EPSG:32633"}
    profile |= {"transform": rasterio.Affine(10, 0, 5e5, 0, -10, 5e6), "sparse_ok": True, "compress": "deflate"}
    profile |= {"photometric": "MINISBLACK", **options}
    with rasterio.open(path, "w", **profile):
        pass
    return path


def write_png(path, width, height, compressed_rows):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", compressed_rows) + chunk(b"IEND", b""))
    return path


def cpu_seconds(function):
    started = time.process_time()
    with pytest.raises(SceneError) as caught:
        function()
    return str(caught.value), time.process_time() - started


@pytest.mark.parametrize("block", [256, 512, 1024])
def test_a_sparse_giant_is_refused_before_decoding(tmp_path, block):
    path = sparse(tmp_path / "s.tif", 200_000, 200_000, tiled=True, blockxsize=block, blockysize=block, bigtiff="yes")
    with open_scene(path) as scene:
        for options in ({}, {"size_px": 512}, {"size_px": 512, "resampling": "nearest"}):
            message, seconds = cpu_seconds(lambda options=options: scene.read(**options))
            assert "above the limit" in message
            assert seconds < 0.2
        started = time.process_time()
        assert scene.read(window=(0, 0, 512, 512)).pixels_CHW.shape == (4, 512, 512)
        assert time.process_time() - started < 0.5


def test_a_window_of_a_sparse_giant_is_read(tmp_path):
    path = sparse(tmp_path / "s.tif", 60_000, 60_000, 1, tiled=True, blockxsize=512, blockysize=512)
    with rasterio.open(path, "r+", driver="GTiff") as dataset:
        dataset.write(np.full((1, 512, 512), 9, np.uint8), window=rasterio.windows.Window(0, 0, 512, 512))
    with open_scene(path) as scene:
        found = scene.read(window=(0, 0, 4096, 4096), size_px=64)
        assert found.pixels_CHW[0, :8, :8].min() == 9
        assert found.pixels_CHW[0, 8:].max() == 0


@pytest.mark.parametrize("options", [
    {"width": 30_000, "height": 30_000, "count": 1, "blockysize": 30_000},
    {"width": 10_000, "height": 10_000, "count": 9, "blockysize": 10_000, "interleave": "pixel"},
    {"width": 16_384, "height": 16_384, "count": 1, "tiled": True, "blockxsize": 16_384, "blockysize": 16_384},
])  # fmt: skip
def test_a_giant_strip_or_tile_is_refused_at_opening(tmp_path, options):
    path = sparse(tmp_path / "s.tif", **options)
    message, seconds = cpu_seconds(lambda: open_scene(path))
    assert "tile or strip" in message
    assert seconds < 0.1


def test_too_many_bands_are_refused_at_opening(tmp_path):
    path = tmp_path / "s.tif"
    entries = [(256, 1), (257, 1), (258, 8), (259, 1), (262, 1), (273, 8), (277, 65_535), (278, 1), (279, 65_535)]
    body = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    path.write_bytes(b"II*\x00" + struct.pack("<IH", 8, len(entries)) + body + struct.pack("<I", 0))
    message, seconds = cpu_seconds(lambda: open_scene(path))
    assert "65,535, above the limit of 512" in message
    assert seconds < 0.1


@pytest.mark.parametrize(("width", "height"), [(1, 65_535), (20_000, 20_000), (65_535, 65_535), (2**31 - 1, 1)])
def test_png_bombs(tmp_path, width, height):
    rows = zlib.compress(bytes(1 + 3 * min(width, 100)) * 100)
    path = write_png(tmp_path / "bomb.png", width, height, rows)

    def read():
        with open_scene(path) as scene:
            scene.read()

    message, seconds = cpu_seconds(read)
    assert "bomb.png" in message
    assert seconds < 0.1


@pytest.mark.parametrize(("width", "height"), [(1, 300), (20, 300), (100, 101), (512, 512)])
def test_a_png_whose_data_end_early_is_never_read(tmp_path, width, height):
    """A valid checksum over too few rows: GDAL's quick path hands out unwritten memory, zeros or not by chance."""
    raw = bytes(1 + 3 * min(width, 100)) * 100
    rows = zlib.compress(raw[: height * (1 + 3 * width) - 1])
    path = write_png(tmp_path / "short.png", width, height, rows)
    with open_scene(path) as scene, pytest.raises(SceneError, match=r"short\.png cannot be read"):
        scene.read()


def test_animations_are_refused(tmp_path):
    from PIL import Image

    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green")]
    for suffix in ("png", "webp"):
        path = tmp_path / f"moving.{suffix}"
        frames[0].save(path, save_all=True, append_images=frames[1:])
        with pytest.raises(SceneError, match=f"moving.{suffix}"):
            open_scene(path)


def test_picture_limit_can_be_raised(tmp_path):
    path = make_picture(tmp_path / "a.png", 100, 100)
    with pytest.raises(SceneError, match="10,000, above the limit of 9,999"):
        open_scene(path, ReadLimits(max_picture_px=9999))
    open_scene(path, ReadLimits(max_picture_px=10_000)).close()


def test_declared_bytes_and_sides(tmp_path):
    path = sparse(tmp_path / "s.tif", 1000, 100)
    with pytest.raises(SceneError, match="declares a number of bytes of 400,000"):
        open_scene(path, ReadLimits(max_declared_bytes=399_999))
    with pytest.raises(SceneError, match="side in pixels of 1,000"):
        open_scene(path, ReadLimits(max_side_px=999))


def test_blocks_and_bytes_of_one_read(tmp_path):
    made = make_scene(tmp_path / "a.tif", dtype="uint8", tile_px=16)  # 4 x 4 tiles of 16 x 16 x 4 bytes
    with open_scene(made.path, ReadLimits(max_read_blocks=4)) as scene:
        assert scene.read(window=(8, 8, 16, 16)).pixels_CHW.shape == (4, 16, 16)
        with pytest.raises(SceneError, match="number of blocks of 6, above the limit of 4"):
            scene.read(window=(8, 8, 25, 16))
    with open_scene(made.path, ReadLimits(max_read_bytes=4 * 1024)) as scene:
        scene.read(window=(8, 8, 16, 16))
        with pytest.raises(SceneError, match="decodes a number of bytes of 6,144"):
            scene.read(window=(8, 8, 25, 16))
        with pytest.raises(SceneError, match="returns a number of bytes"):
            scene.read(window=(0, 0, 1, 1), size_px=(100, 100))
    band = make_scene(tmp_path / "b.tif", dtype="uint8", tile_px=16, interleave="band")
    with open_scene(band.path, ReadLimits(max_read_blocks=4)) as scene:
        with pytest.raises(SceneError, match="number of blocks of 8"):
            scene.read(window=(0, 0, 32, 16))
        scene.read(window=(0, 0, 32, 32), bands=1)


def test_the_clock_stops_a_long_read(tmp_path, monkeypatch):
    made = make_scene(tmp_path / "a.tif")
    now = [0.0]
    monkeypatch.setattr("geoprose.scenes.limits.time.monotonic", lambda: now[0])
    deadline = Deadline("a.tif", 5.0, started=0.0)
    deadline.check()
    now[0] = 6.0
    with pytest.raises(SceneError, match=r"a\.tif took longer than 5 s"):
        deadline.check()
    monkeypatch.undo()
    monkeypatch.setattr("geoprose.scenes.decode._CHUNK_PX", 64)
    with open_scene(made.path, ReadLimits(max_seconds=-1.0)) as scene:
        for options in ({}, {"size_px": 7}, {"size_px": 7, "resampling": "nearest"}):
            with pytest.raises(SceneError, match="took longer"):
                scene.read(**options)


def test_the_cache_is_small(tmp_path):
    from rasterio._env import get_gdal_config

    with gdal_options():
        assert int(get_gdal_config("GDAL_CACHEMAX")) == 64
