from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import ConfigError, DataError
from geoprose.data.readers.scene_folders import SCENE_SETS, SceneFoldersReader
from tests.fixtures import layouts

if TYPE_CHECKING:
    from pathlib import Path


def test_every_picture_is_asked_about_with_both_spellings_and_all_classes(tmp_path: Path) -> None:
    samples = list(SceneFoldersReader(data_set="aid").read(layouts.aid(tmp_path), "test"))
    assert [sample.id for sample in samples] == [
        "BareLand/bareland_1.jpg", "BareLand/bareland_2.jpg", "DenseResidential/denseresidential_1.jpg",
        "StorageTanks/storagetanks_1.jpg", "StorageTanks/storagetanks_2.jpg",
    ]  # fmt: skip
    dense = samples[2]
    assert dense.images == ("AID/DenseResidential/denseresidential_1.jpg",)
    assert dense.meta["answers"] == ["dense residential", "DenseResidential"]
    assert dense.meta["options"] == ["bare land", "dense residential", "storage tanks"]
    assert dense.messages[0].text == "<image>\nWhat scene is this?"


def test_names_without_capitals_have_their_words_in_a_table(tmp_path: Path) -> None:
    samples = list(SceneFoldersReader(data_set="ucmerced").read(layouts.ucmerced(tmp_path), "test"))
    assert samples[-1].meta["answers"] == ["dense residential", "denseresidential"]
    assert samples[0].meta["gsd_m"] == 0.3048


def test_a_part_of_the_set_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        list(SceneFoldersReader(data_set="aid").read(layouts.aid(tmp_path), "test"))
    assert "30 classes and 10000 pictures" in caplog.text


def test_a_drawn_split_keeps_each_picture_when_others_go(tmp_path: Path) -> None:
    root = layouts.scene_folders(tmp_path, "AID", {"Airport": 40, "Beach": 40}, ".jpg")
    reader = SceneFoldersReader(data_set="aid", train_percent=50)
    train = {sample.id for sample in reader.read(root, "train")}
    test = {sample.id for sample in reader.read(root, "test")}
    assert not train & test
    assert len(train | test) == 80
    assert 20 < len(train) < 60
    gone = next(iter(sorted(train)))
    (root / "AID" / gone).unlink()
    assert {sample.id for sample in reader.read(root, "train")} == train - {gone}


def test_lists_name_the_split(tmp_path: Path) -> None:
    root = layouts.aid(tmp_path)
    layouts.write_lines(root / "test.txt", ["BareLand/bareland_2.jpg", "storagetanks_1.jpg"])
    reader = SceneFoldersReader(data_set="aid", lists={"test": "test.txt"})
    found = [sample.id for sample in reader.read(root, "test")]
    assert found == ["BareLand/bareland_2.jpg", "StorageTanks/storagetanks_1.jpg"]
    with pytest.raises(DataError, match="there are test"):
        list(reader.read(root, "val"))


@pytest.mark.parametrize("name", SCENE_SETS)
def test_each_set_says_what_to_download(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"https?://"):
        list(SceneFoldersReader(data_set=name).read(tmp_path, "test"))


def test_unknown_sets_and_shares_are_refused() -> None:
    with pytest.raises(ConfigError, match="aid"):
        SceneFoldersReader(data_set="aidd")
    with pytest.raises(ConfigError, match="0 to 99"):
        SceneFoldersReader(train_percent=100)
