from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import ConfigError, DataError
from geoprose.data.readers.masks import mask_values
from geoprose.data.readers.samrs import MASK_SETS, SamrsReader
from tests.fixtures import layouts

if TYPE_CHECKING:
    from pathlib import Path


def test_each_class_of_a_mask_is_asked_for(tmp_path: Path) -> None:
    root = layouts.samrs(tmp_path)
    samples = list(SamrsReader().read(root, "val"))
    assert [(s.meta["phrase"], s.meta["mask_value"]) for s in samples] == [("large vehicle", 0), ("ship", 5)]
    assert samples[0].meta["mask"] == "trainval/hbox_segs_init/gray/P1__1024__0___0.png"
    assert [s.meta["phrase"] for s in SamrsReader(min_pixels=2).read(root, "val")] == ["ship"]


def test_the_parts_have_their_published_numbers_of_classes() -> None:
    assert {name: len(part.classes) for name, part in MASK_SETS.items()} == {"sota": 18, "sior": 20, "fast": 37}


def test_values_beyond_the_classes_are_refused(tmp_path: Path) -> None:
    root = layouts.samrs(tmp_path)
    layouts.write_mask(root / "trainval/hbox_segs_init/gray/P1__1024__0___0.png", [[18, 255]])
    with pytest.raises(DataError, match="holds value 18"):
        list(SamrsReader().read(root, "val"))
    with pytest.raises(ConfigError, match="sota"):
        SamrsReader(part="soto")


def test_mask_values_counts_pixels_and_names_what_is_no_mask(tmp_path: Path) -> None:
    layouts.write_mask(tmp_path / "m.png", [[0, 7, 7]])
    assert mask_values(tmp_path / "m.png") == {0: 1, 7: 2}
    (tmp_path / "n.png").write_text("no picture")
    with pytest.raises(DataError, match="cannot be read as a mask"):
        mask_values(tmp_path / "n.png")
