import numpy as np
import pytest

from geoprose.scenes.open import open_scene
from geoprose.scenes.validity import fitting
from tests.fixtures.make_scene import make_scene


def read_validity(tmp_path, pixels, **options):
    with open_scene(make_scene(tmp_path / "a.tif", pixels=pixels, **options).path) as scene:
        return scene.validity.kind, scene.read().is_valid_HW, scene.read(size_px=pixels.shape[2] // 2)


def test_integer_nodata_must_hold_in_every_band(tmp_path):
    pixels = np.full((3, 32, 32), 50, dtype=np.uint8)
    pixels[0, :16] = 0  # dark in one band: real
    pixels[:, 24:] = 0  # black in all: nothing
    kind, is_valid, half = read_validity(tmp_path, pixels, nodata=0)
    assert kind == "nodata value"
    assert is_valid[:24].all()
    assert not is_valid[24:].any()
    assert (half.is_valid_HW == is_valid[::2, ::2]).all()
    assert half.pixels_CHW[1, 12:].max() == 0


def test_float_nodata_in_any_band_makes_the_pixel_empty(tmp_path):
    pixels = np.full((2, 32, 32), 0.5, dtype=np.float32)
    pixels[1, :8] = -9999
    _, is_valid, half = read_validity(tmp_path, pixels, nodata=-9999)
    assert not is_valid[:8].any()
    assert is_valid[8:].all()
    assert (half.pixels_CHW[:, :4] == -9999).all()
    assert (half.pixels_CHW[:, 4:] == 0.5).all()


@pytest.mark.parametrize("nodata", [None, float("nan"), -9999])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nan_and_infinity_are_never_valid(tmp_path, nodata, dtype):
    pixels = np.full((1, 32, 32), 0.5, dtype=dtype)
    pixels[0, 0], pixels[0, 1] = np.nan, np.inf
    _, is_valid, half = read_validity(tmp_path, pixels, nodata=nodata)
    assert not is_valid[:2].any()
    assert is_valid[2:].all()
    assert (half.pixels_CHW[0, 1:] == 0.5).all()
    assert not half.is_valid_HW[0].any()


def test_the_lowest_float32_survives_the_double(tmp_path):
    lowest = float(np.finfo(np.float32).min)
    pixels = np.full((1, 32, 32), 1.0, dtype=np.float32)
    pixels[0, :4] = lowest
    _, is_valid, _ = read_validity(tmp_path, pixels, nodata=lowest)
    assert is_valid.mean() == 28 / 32


@pytest.mark.parametrize("overviews", [(), (2,)])
def test_a_mask_band(tmp_path, overviews):
    mask = np.zeros((32, 32), dtype=bool)
    mask[8:24, 8:24] = True
    pixels = np.where(mask, 10, 200)[None].astype(np.uint8)
    kind, is_valid, half = read_validity(tmp_path, pixels, mask=mask, overviews=overviews)
    assert kind == "mask band"
    assert (is_valid == mask).all()
    assert (half.is_valid_HW == mask[::2, ::2]).all()
    assert (half.pixels_CHW[0][half.is_valid_HW] == 10).all(), "values below the mask never leak into the average"


def test_an_alpha_band(tmp_path):
    pixels = np.full((2, 32, 32), 9, dtype=np.uint8)
    pixels[1, :, :8] = 0
    kind, is_valid, _ = read_validity(tmp_path, pixels, alpha=True, colours=("gray", "alpha"))
    assert kind == "alpha band"
    assert is_valid.mean() == 0.75


def test_without_any_statement_all_is_valid(tmp_path):
    kind, is_valid, _ = read_validity(tmp_path, np.zeros((1, 32, 32), dtype=np.uint8))
    assert kind == "none"
    assert is_valid.all()


@pytest.mark.parametrize(("nodata", "dtype", "expected"), [
    (0.0, "uint8", 0), (-9999.0, "uint8", None), (256.0, "uint8", None), (0.5, "int16", None),
    (float("nan"), "int16", None), (-1.0, "int16", -1), (None, "uint8", None), (1e300, "float32", np.inf),
])  # fmt: skip
def test_nodata_that_the_type_cannot_hold_is_no_nodata(nodata, dtype, expected):
    assert fitting(nodata, np.dtype(dtype)) == expected
