from __future__ import annotations

import pytest

from geoprose.core.errors import ConfigError, DataError
from geoprose.data.world.settings import ColumnBand, WorldSettings
from geoprose.data.world.split import check_leaks, column_splits, smallest_gap_px, split_of_tile
from geoprose.data.world.tiles import Tile


def _settings(test: list[tuple[int, int]], val: list[tuple[int, int]], buffer_columns: int = 1) -> WorldSettings:
    bands = {
        name: tuple(ColumnBand(first=a, last=b) for a, b in pairs)
        for name, pairs in (("test_bands", test), ("val_bands", val))
    }
    return WorldSettings.model_validate(bands | {"buffer_columns": buffer_columns})


def _tile(x_px: int, digest: str = "") -> Tile:
    return Tile(x_px, 0, 10, digest or f"d{x_px}")


def test_strips_are_surrounded_by_a_buffer():
    assert column_splits(10, _settings([(2, 3)], [(7, 7)])) == [
        "train", None, "test", "test", None, "train", None, "val", None, "train",
    ]  # fmt: skip


def test_the_buffer_wraps_at_180_degrees():
    splits = column_splits(10, _settings([(0, 1)], []))
    assert splits[9] is None
    assert splits[8] == "train"


@pytest.mark.parametrize(("test", "val"), [([(2, 3)], [(4, 5)]), ([(2, 3), (3, 4)], []), ([(0, 0)], [(9, 9)])])
def test_strips_that_touch_are_refused(test, val):
    with pytest.raises(ConfigError, match="touches another strip"):
        column_splits(10, _settings(test, val))


def test_a_strip_outside_the_globe_is_refused():
    with pytest.raises(ConfigError, match="outside the 10 tile columns"):
        column_splits(10, _settings([(9, 12)], []))


def test_strips_that_leave_nothing_for_training_are_refused():
    with pytest.raises(ConfigError, match="no column for training"):
        column_splits(4, _settings([(1, 2)], []))


def test_a_tile_across_two_splits_belongs_to_none():
    splits = column_splits(10, _settings([(2, 3)], []))
    assert split_of_tile(20, 10, splits) == "test"
    assert split_of_tile(25, 10, splits) == "test"
    assert split_of_tile(35, 10, splits) is None
    assert split_of_tile(15, 10, splits) is None


def test_the_gap_is_measured_the_short_way_round():
    assert smallest_gap_px([_tile(0)], [_tile(90)], 100) == 0
    assert smallest_gap_px([_tile(0)], [_tile(80)], 100) == 10
    assert smallest_gap_px([_tile(0)], [_tile(40), _tile(60)], 100) == 30
    assert smallest_gap_px([_tile(0)], [_tile(5)], 100) == 0
    assert smallest_gap_px([_tile(0)], [], 100) is None


def test_the_leak_check_passes_a_clean_split_and_reports_its_gaps():
    report = check_leaks({"train": [_tile(0)], "val": [_tile(60)], "test": [_tile(30)]}, 200, 10)
    assert report == {"gap_px_train_test": 20, "gap_px_train_val": 50, "gap_px_val_test": 20, "identical_pictures": 0}


def test_the_leak_check_refuses_near_tiles_and_repeated_pictures():
    with pytest.raises(DataError, match="5 px from a test tile"):
        check_leaks({"train": [_tile(0)], "val": [_tile(60)], "test": [_tile(15)]}, 200, 10)
    with pytest.raises(DataError, match="1 identical pictures"):
        check_leaks({"train": [_tile(0, "same")], "val": [_tile(60)], "test": [_tile(30, "same")]}, 200, 10)
