from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import DataError
from geoprose.data.readers.dota import DotaReader
from tests.fixtures import layouts

if TYPE_CHECKING:
    from pathlib import Path


def test_header_and_difficult_flag_are_read(tmp_path: Path) -> None:
    entries = list(DotaReader().pictures(layouts.dota(tmp_path), "val"))
    first, second = entries
    assert first.picture.meta["gsd_m"] == 0.15
    assert first.picture.meta["source"] == "GoogleEarth"
    assert "gsd_m" not in second.picture.meta  # the file says null
    assert [(thing.label, thing.is_difficult) for thing in first.things] == [("ship", False), ("harbor", True)]
    assert first.things[0].corners == (10, 10, 50, 10, 50, 30, 10, 30)
    assert first.size_px == (100, 100)


def test_the_folder_of_version_one_as_downloaded_is_found(tmp_path: Path) -> None:
    root = layouts.dota(tmp_path)
    (root / "val/labelTxt-v1.0").mkdir()
    (root / "val/labelTxt").rename(root / "val/labelTxt-v1.0/labelTxt")
    assert len(list(DotaReader().pictures(root, "val"))) == 2


def test_broken_lines_and_missing_pictures_are_named(tmp_path: Path) -> None:
    root = layouts.dota(tmp_path)
    layouts.write_lines(root / "val/labelTxt/P0003.txt", ["1 2 3 4 5 6 7 nan ship 0"])
    with pytest.raises(DataError, match=r"P0003\.txt, line 1"):
        list(DotaReader().read(root, "val"))
    layouts.write_lines(root / "val/labelTxt/P0009.txt", ["gsd:1"])
    layouts.write_lines(root / "val/labelTxt/P0003.txt", ["gsd:1"])
    with pytest.raises(DataError, match="P0009"):
        list(DotaReader().read(root, "val"))
