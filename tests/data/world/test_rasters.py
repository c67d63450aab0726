from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from geoprose.core.errors import DataError, SceneError
from geoprose.data.world.classes import UNLABELLED, class_index, igbp_lookup
from geoprose.data.world.rasters import check_alignment, measure_alignment, read_globe, read_labels
from tests.fixtures.world import WIDTH_PX, class_map, write_globe, write_land_cover


def test_every_igbp_code_has_at_most_one_class_and_the_unused_ones_none():
    table = igbp_lookup()
    assert table[0] == class_index("water")
    assert table[15] == class_index("ice")
    assert table[16] == class_index("desert")
    assert {int(code) for code in np.flatnonzero(table != UNLABELLED)} <= set(range(17))


def test_labels_are_brought_to_the_picture_grid(tmp_path):
    write_land_cover(tmp_path / "cover.tif")
    labels = read_labels(tmp_path / "cover.tif", WIDTH_PX // 2, WIDTH_PX)
    expected = class_map(WIDTH_PX, WIDTH_PX // 2)
    # Nearest neighbour moves an edge by at most half a fine pixel, so only pixels on an edge may differ.
    assert labels.shape == expected.shape
    assert np.mean(labels == expected) > 0.9


def test_alignment_of_a_true_pair_is_high_and_upside_down_is_low(tmp_path):
    picture = write_globe(tmp_path / "globe.png")
    write_land_cover(tmp_path / "cover.tif")
    alignment = measure_alignment(picture, read_labels(tmp_path / "cover.tif", *picture.shape[:2]))
    assert alignment.best_shift_px == (0, 0)
    assert alignment.correlation > 0.9
    assert alignment.flipped_correlation < 0.5
    check_alignment(alignment)


def test_alignment_finds_a_shift_and_refuses_it(tmp_path):
    picture = write_globe(tmp_path / "globe.png")
    labels = np.roll(class_map(picture.shape[1], picture.shape[0]), (1, -2), (0, 1))
    alignment = measure_alignment(picture, labels)
    assert alignment.best_shift_px == (2, -1)
    with pytest.raises(DataError, match="do not lie on the same grid"):
        check_alignment(alignment)


def test_upside_down_labels_are_refused(tmp_path):
    picture = write_globe(tmp_path / "globe.png")
    write_land_cover(tmp_path / "cover.tif", upside_down=True)
    alignment = measure_alignment(picture, read_labels(tmp_path / "cover.tif", *picture.shape[:2]))
    with pytest.raises(DataError, match="opposite directions"):
        check_alignment(alignment)


def test_a_picture_that_is_not_global_is_refused(tmp_path):
    Image.new("RGB", (64, 64)).save(tmp_path / "square.png")
    with pytest.raises(SceneError, match="twice as wide as high"):
        read_globe(tmp_path / "square.png")


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n broken"])
def test_a_file_that_is_no_picture_is_refused(tmp_path, content):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(SceneError, match=r"x\.png cannot be decoded"):
        read_globe(tmp_path / "x.png")


def test_a_land_cover_that_is_not_global_is_refused(tmp_path):
    write_land_cover(tmp_path / "shifted.tif", west=-100.0)
    with pytest.raises(DataError, match="180 W to 180 E"):
        read_labels(tmp_path / "shifted.tif", 32, 64)


@pytest.mark.parametrize(("kept", "error"), [(0.2, SceneError), (0.9, SceneError)])
def test_a_truncated_land_cover_is_refused(tmp_path, kept, error):
    write_land_cover(tmp_path / "cover.tif", 256)
    content = (tmp_path / "cover.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(content[: int(kept * len(content))])
    with pytest.raises(error, match=r"cut\.tif cannot be read"):
        read_labels(tmp_path / "cut.tif", 32, 64)


def test_a_land_cover_without_a_georeference_is_refused(tmp_path):
    Image.new("L", (256, 128)).save(tmp_path / "plain.tif")
    with pytest.raises(DataError, match=r"plain\.tif has extent"):
        read_labels(tmp_path / "plain.tif", 32, 64)


def test_the_globe_is_read_unchanged(tmp_path):
    picture = write_globe(tmp_path / "globe.png", 256)
    assert np.array_equal(read_globe(tmp_path / "globe.png"), picture)
