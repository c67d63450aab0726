import numpy as np
import pytest

from geoprose.core.errors import SceneError
from geoprose.geo.pixels import pixel_to_map
from geoprose.scenes.limits import ReadLimits
from geoprose.scenes.open import open_scene
from geoprose.scenes.safe_gdal import rasterio
from geoprose.scenes.window import Window
from tests.fixtures.make_scene import make_picture, make_scene

DTYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"]
DTYPES += ["complex64", "complex128"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("interleave", ["pixel", "band"])
def test_every_data_type_is_read_as_written(tmp_path, dtype, interleave):
    made = make_scene(tmp_path / "a.tif", dtype=dtype, interleave=interleave, bands=3)
    with open_scene(made.path) as scene:
        assert scene.dtype == dtype
        found = scene.read()
        assert found.pixels_CHW.dtype == np.dtype(dtype)
        assert (found.pixels_CHW == made.pixels_CHW).all()
        assert found.is_valid_HW.all()
        half = scene.read(size_px=32)
        assert half.pixels_CHW.dtype == np.dtype(dtype)
        assert half.pixels_CHW.shape == (3, 32, 32)
        if dtype not in ("uint64", "int64"):
            exact = made.pixels_CHW.astype(complex).reshape(3, 32, 2, 32, 2).mean(axis=(2, 4))
            assert np.abs(half.pixels_CHW - exact).max() <= 0.5


def test_complex_integers(tmp_path):
    values = np.array([[[1 + 2j, 3 - 4j], [0, 5j]]], dtype="complex64")
    made = make_scene(tmp_path / "a.tif", pixels=values, tile_px=None)
    profile = {"driver": "GTiff", "width": 2, "height": 2, "count": 1, "dtype": "complex_int16", "crs": "EPSG:32633"}
    with rasterio.open(tmp_path / "b.tif", "w", transform=made.transform, **profile) as dataset:
        dataset.write(values)
    with open_scene(tmp_path / "b.tif") as scene:
        assert (scene.read().pixels_CHW == values).all()


@pytest.mark.parametrize("options", [
    {}, {"rotation_deg": 30}, {"shear_deg": 20}, {"rotation_deg": -75, "shear_deg": 10}, {"south_up": True},
    {"south_up": True, "rotation_deg": 120},
])  # fmt: skip
def test_windows_of_any_transform_lie_where_the_scene_says(tmp_path, options):
    made = make_scene(tmp_path / "a.tif", overviews=(2, 4), **options)
    with open_scene(made.path) as scene:
        assert scene.georef.transform == pytest.approx(made.transform, rel=1e-12)
        chip = scene.read(window=(20, 12, 24, 40))
        assert (chip.pixels_CHW == made.pixels_CHW[:, 12:52, 20:44]).all()
        assert pixel_to_map(3.5, 7.25, chip.georef) == pytest.approx(pixel_to_map(23.5, 19.25, scene.georef), rel=1e-12)
        small = scene.read(window=(20, 12, 24, 40), size_px=(6, 10))
        assert pixel_to_map(6, 10, small.georef) == pytest.approx(pixel_to_map(44, 52, scene.georef), rel=1e-12)
        assert small.gsd_m == pytest.approx((4 * scene.gsd_m[0], 4 * scene.gsd_m[1]))


@pytest.mark.parametrize("overviews", [(), (2, 4, 8)])
@pytest.mark.parametrize("size", [(64, 64), (37, 29), (16, 16), (5, 9)])
def test_decimated_pixels_lie_where_their_georeference_says(tmp_path, overviews, size):
    """Values are the map coordinates themselves: a shift of the grid, or a wrong scale, shows as a wrong value."""
    rows, columns = np.mgrid[0:250, 0:333] + 0.5
    values = np.stack([columns, rows]).astype(np.float64)
    made = make_scene(tmp_path / "a.tif", pixels=values, transform=(1, 0, 0, 0, 1, 0), overviews=overviews, tile_px=32)
    with open_scene(made.path) as scene:
        for window in (None, (40, 30, 200, 180), (133, 101, 97, 64)):
            found = scene.read(window=window, size_px=size)
            cells = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
            x, y = pixel_to_map(*(axis + 0.5 for axis in cells), found.georef)
            # A staircase of unit steps lies within 1/8 of its plane when averaged over a cell of at least one pixel;
            # GDAL rounds the footprint of an overview pixel to whole pixels, at 8x up to one pixel at each end.
            assert np.abs(found.pixels_CHW[0] - x).max() < (1.1 if overviews else 0.1251)
            assert np.abs(found.pixels_CHW[1] - y).max() < (1.1 if overviews else 0.1251)


@pytest.mark.parametrize(("size", "expected"), [(256, 9), (200, 9), (128, 5), (100, 5), (64, 2), (16, 2)])
def test_the_coarsest_overview_that_is_fine_enough_is_read(tmp_path, size, expected):
    """Each level holds another value, so the value read tells the level."""
    path = tmp_path / "a.tif"
    make_scene(path, pixels=np.full((1, 256, 256), 2, np.uint8), overviews=(2, 4))
    for level, value in ((0, 5), (None, 9)):
        options = {} if level is None else {"OVERVIEW_LEVEL": level}
        with rasterio.open(path, "r+", driver="GTiff", **options) as dataset:
            dataset.write(np.full((1, dataset.height, dataset.width), value, np.uint8))
    with open_scene(path) as scene:
        assert scene.num_overviews == 2
        assert set(np.unique(scene.read(size_px=size).pixels_CHW)) == {expected}


def test_a_window_inside_a_region_of_degrees(tmp_path):
    made = make_scene(tmp_path / "a.tif", crs="EPSG:4326", gsd=0.01, origin=(10.0, 50.0))
    with open_scene(made.path) as scene:
        assert scene.bbox(10.1, 49.5, 10.2, 49.8) == Window(10, 20, 10, 30)
        chip = scene.read(region=(10.1, 49.5, 10.2, 49.8), bands=2)
        assert (chip.pixels_CHW[0] == made.pixels_CHW[1, 20:50, 10:20]).all()


def test_bands_by_number_name_and_sensor(tmp_path):
    made = make_scene(tmp_path / "a.tif", names=("red", "green", "blue", "nir"))
    with open_scene(made.path) as scene:
        assert scene.bands == ("red", "green", "blue", "nir")
        assert scene.read(bands="naip:nir").bands == ("nir", "red", "green")
        assert (scene.read(bands=["blue", 1]).pixels_CHW == made.pixels_CHW[[2, 0]]).all()


def test_alpha_is_validity_and_not_a_band(tmp_path):
    pixels = np.full((4, 64, 64), 100, dtype=np.uint8)
    pixels[3, :, :32] = 0
    colours = ("red", "green", "blue")
    made = make_scene(tmp_path / "a.tif", pixels=pixels, alpha=True, colours=colours, photometric="RGB")
    with open_scene(made.path) as scene:
        found = scene.read()
        assert scene.bands == ("red", "green", "blue", "alpha")
        assert found.bands == ("red", "green", "blue")
        assert found.is_valid_HW.mean() == 0.5
        assert not found.is_valid_HW[:, :32].any()


def test_a_scene_without_crs_works_in_pixels(tmp_path):
    made = make_scene(tmp_path / "a.tif", crs=None, transform=(1, 0, 0, 0, 1, 0))
    with open_scene(made.path) as scene:
        assert (scene.georef.crs, scene.gsd_m) == (None, None)
        chip = scene.read(region=(10, 20, 30, 25))
        assert (chip.pixels_CHW == made.pixels_CHW[:, 20:25, 10:30]).all()
        assert chip.georef.transform == (1, 0, 10, 0, 1, 20)
        with pytest.raises(SceneError, match="no CRS; regions are pixels from 0,0 to 64,64"):
            scene.read(region=(100, 100, 200, 200))


@pytest.mark.parametrize("region", [(20, 20, 21, 21), (-170, -10, -169, -9)])
def test_a_region_outside_names_the_extent(tmp_path, region):
    made = make_scene(tmp_path / "a.tif")
    with open_scene(made.path) as scene, pytest.raises(SceneError, match=r"does not meet a\.tif.*EPSG:32633.*15\.0000"):
        scene.read(region=region)


@pytest.mark.parametrize(
    "window", [(-1, 0, 5, 5), (0, 0, 65, 5), (60, 60, 5, 5), (0, 0, 0, 5), (0.5, 0, 5, 5), (0, 0, 5)]
)
def test_a_window_outside_is_refused(tmp_path, window):
    with open_scene(make_scene(tmp_path / "a.tif").path) as scene, pytest.raises(SceneError, match="Window"):
        scene.read(window=window)


def test_an_empty_window_is_a_clear_error(tmp_path):
    pixels = np.zeros((2, 64, 64), dtype=np.uint16)
    pixels[:, :32] = 7
    with open_scene(make_scene(tmp_path / "a.tif", pixels=pixels, nodata=0).path) as scene:
        assert scene.read(window=(0, 16, 64, 32)).is_valid_HW.mean() == 0.5
        with pytest.raises(
            SceneError, match=r"All pixels of the window \(col_off=0, row_off=32.* a\.tif are empty \(nodata"
        ):
            scene.read(window=(0, 32, 64, 32))


@pytest.mark.parametrize("size", [0, -3, (0, 5)])
def test_a_size_must_be_a_size(tmp_path, size):
    with open_scene(make_scene(tmp_path / "a.tif").path) as scene, pytest.raises(SceneError, match="size_px"):
        scene.read(size_px=size)


def test_window_and_region_together_are_refused(tmp_path):
    with open_scene(make_scene(tmp_path / "a.tif").path) as scene, pytest.raises(SceneError, match="not both"):
        scene.read(window=(0, 0, 4, 4), region=(0, 0, 1, 1))


@pytest.mark.parametrize("options", [
    {}, {"tile_px": None}, {"compress": None, "tile_px": None}, {"compress": "lzw"},
    {"compress": "zstd", "interleave": "band"}, {"BIGTIFF": "YES"},
    {"compress": "jpeg", "bands": 3, "dtype": "uint8"},
])  # fmt: skip
def test_a_truncated_geotiff_is_named(tmp_path, options):
    """Cut anywhere: either the cut lies behind all the data, or the error names the file."""
    made = make_scene(tmp_path / "whole.tif", **options)
    raw = made.path.read_bytes()
    with open_scene(made.path) as scene:
        whole = scene.read().pixels_CHW
    refused = 0  # or whole, when the cut lies behind the last tile
    for cut in np.linspace(0, len(raw) - 1, 40).astype(int):
        path = tmp_path / "cut.tif"
        path.write_bytes(raw[:cut])
        try:
            with open_scene(path) as scene:
                found = scene.read().pixels_CHW
        except SceneError as error:
            refused += "cut.tif" in str(error)
        else:
            refused += bool((found == whole).all()) and cut >= len(raw) // 2
    assert refused == 40


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "jp2"])
def test_truncated_pictures_are_named(tmp_path, suffix):
    raw = make_picture(tmp_path / f"whole.{suffix}", width=200, height=150).read_bytes()
    for share in (0.2, 0.5, 0.8):
        path = tmp_path / f"cut.{suffix}"
        path.write_bytes(raw[: int(len(raw) * share)])
        with pytest.raises(SceneError, match="cut"), open_scene(path) as scene:
            scene.read()


@pytest.mark.parametrize(("suffix", "mode", "driver"), [
    ("png", "RGB", "PNG"), ("png", "RGBA", "PNG"), ("png", "L", "PNG"), ("png", "P", "PNG"), ("png", "I;16", "PNG"),
    ("jpg", "RGB", "JPEG"), ("jpg", "L", "JPEG"), ("webp", "RGB", "WEBP"), ("jp2", "RGB", "JP2OpenJPEG"),
])  # fmt: skip
def test_pictures_have_no_georeference(tmp_path, suffix, mode, driver):
    options = {"lossless": True} if suffix == "webp" else {}
    if mode == "I;16":
        from PIL import Image

        path = tmp_path / "a.png"
        Image.fromarray(np.arange(48 * 32, dtype=np.uint16).reshape(32, 48) * 40).save(path)
    else:
        path = make_picture(tmp_path / f"a.{suffix}", mode=mode, **options)
    with open_scene(path) as scene:
        found = scene.read()
        assert (scene.driver, scene.georef.crs, scene.gsd_m) == (driver, None, None)
        assert found.pixels_CHW.shape == ({"RGB": 3, "RGBA": 3}.get(mode, 1), 32, 48)
        assert found.is_valid_HW.all() or mode == "RGBA"
        assert scene.read(size_px=24).pixels_CHW.shape[1:] == (16, 24)
        assert found.pixels_CHW.dtype == (np.uint16 if mode == "I;16" else np.uint8)


def test_a_suffix_does_not_matter(tmp_path):
    made = make_scene(tmp_path / "scene.jpg")
    with open_scene(made.path) as scene:
        assert scene.driver == "GTiff"


@pytest.mark.parametrize("content", [
    b"", b"II", b"II*\x00", b"II*\x00\x08\x00\x00\x00", b"%PDF-1.7", b"GIF89a" + bytes(99), b"8BPS" + bytes(99),
    b"SIMPLE  =                    T", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"RIFF\x00\x00\x00\x00WEBP",
])  # fmt: skip
def test_what_is_no_scene_is_refused(tmp_path, content):
    path = tmp_path / "scene.tif"
    path.write_bytes(content)
    with pytest.raises(SceneError, match=r"scene\.tif"):
        open_scene(path)


def test_directories_and_missing_files(tmp_path):
    with pytest.raises(SceneError, match="not a regular file"):
        open_scene(tmp_path)
    with pytest.raises(SceneError, match="does not exist"):
        open_scene(tmp_path / "nothing.tif")


def test_nothing_is_decoded_by_opening(tmp_path):
    """All the pixel data is rubbish; opening and describing still work."""
    made = make_scene(tmp_path / "a.tif", width=256, height=256)
    raw = bytearray(made.path.read_bytes())
    raw[4000:-4000] = bytes(len(raw) - 8000)
    made.path.write_bytes(raw)
    with open_scene(made.path) as scene:
        assert scene.width_px == 256
        with pytest.raises(SceneError, match=r"a\.tif cannot be read"):
            scene.read()


def test_limits_can_be_raised(tmp_path):
    made = make_scene(tmp_path / "a.tif", bands=6)
    with pytest.raises(SceneError, match="number of bands of 6, above the limit of 4"):
        open_scene(made.path, ReadLimits(max_bands=4))
    with open_scene(made.path, ReadLimits(max_bands=6)) as scene:
        assert scene.read().pixels_CHW.shape[0] == 6


def test_closing_closes(tmp_path):
    scene = open_scene(make_scene(tmp_path / "a.tif", overviews=(2,)).path)
    scene.read(size_px=32)
    scene.close()
    with pytest.raises(SceneError, match="cannot be read"):
        scene.read()


def test_the_description_is_short(tmp_path):
    with open_scene(make_scene(tmp_path / "a.tif").path) as scene:
        assert repr(scene) == "SceneFile('a.tif', GTiff, 64 x 64 px, 4 bands uint16, EPSG:32633)"
