import numpy as np
import pytest

from geoprose.scenes.open import open_scene
from geoprose.scenes.read import read_scene
from geoprose.scenes.render import render_rgb, to_picture
from tests.fixtures.make_scene import make_picture, make_scene


def test_8_bit_is_shown_as_it_is(tmp_path):
    made = make_scene(tmp_path / "a.tif", dtype="uint8", bands=3)
    rendered = render_rgb(read_scene(made.path))
    assert rendered.pixels_CHW.dtype == np.float32
    assert rendered.stretch.kind == "range"
    assert (np.asarray(to_picture(rendered)).transpose(2, 0, 1) == made.pixels_CHW).all()


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int32", "float32", "float64", "complex64"])
def test_other_types_are_stretched_and_it_is_recorded(tmp_path, dtype):
    made = make_scene(tmp_path / "a.tif", dtype=dtype, bands=4)
    rendered = render_rgb(read_scene(made.path), bands=[4, 2, 1])
    assert rendered.bands == ("band_4", "band_2", "band_1")
    assert rendered.stretch.kind == "percentile"
    values = np.abs(made.pixels_CHW[[3, 1, 0]]).astype(float)
    for band in range(3):
        low, high = rendered.stretch.low[band], rendered.stretch.high[band]
        assert (low, high) == pytest.approx(tuple(np.percentile(values[band], (2, 98))))
        expected = np.clip((values[band] - low) / (high - low), 0, 1)
        assert rendered.pixels_CHW[band] == pytest.approx(expected, abs=1e-6)


def test_empty_pixels_are_black_and_do_not_stretch(tmp_path):
    pixels = np.linspace(100, 200, 64 * 64).reshape(1, 64, 64).astype(np.float32)
    pixels[0, :32] = -9999
    scene = read_scene(make_scene(tmp_path / "a.tif", pixels=pixels, nodata=-9999).path)
    rendered = render_rgb(scene)
    assert rendered.stretch.low[0] > 149
    assert (rendered.pixels_CHW[:, :32] == 0).all()
    assert (np.asarray(to_picture(scene))[:32] == 0).all()
    assert rendered.pixels_CHW[:, 32:].max() == 1


def test_one_band_is_grey_and_two_show_the_first(tmp_path):
    for bands in (1, 2):
        rendered = render_rgb(read_scene(make_scene(tmp_path / "a.tif", bands=bands).path))
        assert rendered.bands == ("band_1",) * 3
        assert (rendered.pixels_CHW[0] == rendered.pixels_CHW[2]).all()


def test_colours_are_found_by_name(tmp_path):
    made = make_scene(tmp_path / "a.tif", dtype="uint8", names=("blue", "green", "red", "nir"))
    assert render_rgb(read_scene(made.path)).bands == ("red", "green", "blue")


def test_a_palette_shows_its_colours_and_is_never_averaged(tmp_path):
    values = np.where(np.arange(64)[None, :] % 2 == 0, 1, 3)[None].repeat(64, axis=1).astype(np.uint8)
    palette = {0: (0, 0, 0, 255), 1: (255, 0, 0, 255), 3: (0, 0, 255, 255)}
    made = make_scene(tmp_path / "a.tif", pixels=values, palette=palette)
    with open_scene(made.path) as scene:
        half = scene.read(size_px=32)
    assert set(np.unique(half.pixels_CHW)) <= {1, 3}
    picture = np.asarray(to_picture(read_scene(made.path)))
    assert picture[0, :2].tolist() == [[255, 0, 0], [0, 0, 255]]


def test_a_paletted_png(tmp_path):
    from PIL import Image

    path = make_picture(tmp_path / "a.png", mode="P")
    assert (np.asarray(to_picture(read_scene(path))) == np.asarray(Image.open(path).convert("RGB"))).all()


def test_a_constant_band_does_not_divide_by_zero(tmp_path):
    made = make_scene(tmp_path / "a.tif", pixels=np.full((1, 8, 8), 7, np.uint16), tile_px=None)
    rendered = render_rgb(read_scene(made.path))
    assert np.isfinite(rendered.pixels_CHW).all()


def test_rendering_twice_changes_nothing(tmp_path):
    once = render_rgb(read_scene(make_scene(tmp_path / "a.tif").path))
    assert render_rgb(once) is once
