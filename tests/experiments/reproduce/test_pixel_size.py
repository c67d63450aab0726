"""Pictures at other pixel sizes, and the name of the scene that then holds."""

from __future__ import annotations

import numpy as np
import pytest

from geoprose.experiments.reproduce.captioned import CaptionedPicture
from geoprose.experiments.reproduce.pixel_size import label_at, seen_at, window_of


def test_coarser_pictures_keep_their_size_and_mean() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    coarse = seen_at(pixels, 16)
    assert coarse.shape == pixels.shape
    assert np.ptp(coarse.reshape(-1, 3), axis=0).max() == 0, "one pixel is left, so one colour is"
    assert abs(float(coarse.mean()) - float(pixels.mean())) < 1


def test_at_the_size_of_training_nothing_changes() -> None:
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert (seen_at(pixels, 1) == pixels).all()


@pytest.mark.parametrize(("factor", "rows"), [(0.5, range(2, 6)), (0.25, range(2, 4))])
def test_finer_pictures_show_the_named_window(factor: float, rows: range) -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[..., 0] = np.arange(8)[:, None]
    shown = seen_at(pixels, factor)
    assert shown[:, 0, 0].tolist() == list(rows)
    assert window_of(factor) == (rows.start / 8, rows.stop / 8)


def test_a_part_of_a_tile_is_named_by_its_own_land_cover() -> None:
    cells: list[dict[str, float]] = [{"water": 1.0} for _ in range(16)]
    for place in (5, 6, 9):
        cells[place] = {"ice": 1.0}
    cells[10] = {"ice": 0.4, "water": 0.6}
    picture = CaptionedPicture("a", "a.png", "test", ("mostly water",), "water", tuple(cells))
    assert [label_at(picture, factor) for factor in (8, 1, 0.5, 0.25)] == ["water", "water", "ice", "ice"]
    cells[5] = {"ice": 0.49, "water": 0.30, "grass": 0.21}
    unclear = CaptionedPicture("a", "a.png", "test", ("mostly water",), "water", tuple(cells))
    assert not label_at(unclear, 0.25)


def test_a_scene_without_land_cover_keeps_its_name() -> None:
    assert label_at(CaptionedPicture("a", "a.png", "test", ("a port",), "port"), 0.25) == "port"
