from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import DataError
from geoprose.data.readers.large_images import LrsVqaReader, MmeRealWorldRsReader
from tests.fixtures import layouts

if TYPE_CHECKING:
    from pathlib import Path


def test_lrs_vqa_finds_the_picture_without_the_published_folder(tmp_path: Path) -> None:
    (sample,) = LrsVqaReader().read(layouts.lrs_vqa(tmp_path), "test")
    assert sample.images == ("image/12.tif",)
    assert (sample.task, sample.meta["domain"], sample.meta["answers"]) == ("count", "LRS-VQA FAIR", ["3"])


def test_mme_realworld_keeps_the_remote_sensing_part_and_takes_the_letters_off(tmp_path: Path) -> None:
    (sample,) = MmeRealWorldRsReader().read(layouts.mme_realworld(tmp_path), "test")
    assert sample.meta["options"] == ["red", "blue", "gray", "white", "The image does not feature it."]
    assert sample.meta["answer_index"] == 2
    assert sample.meta["answers"] == ["C", "gray"]
    assert sample.messages[0].text == "<image>\nWhat color is the roof?"


def test_a_right_answer_that_is_no_option_is_refused(tmp_path: Path) -> None:
    path = layouts.mme_realworld(tmp_path) / "MME_RealWorld.json"
    rows = json.loads(path.read_text())
    layouts.write_json_file(path, [{**rows[0], "Ground truth": "F"}])
    with pytest.raises(DataError, match="none of the 5 options"):
        list(MmeRealWorldRsReader().read(tmp_path, "test"))
    layouts.write_json_file(path, rows[1:])
    with pytest.raises(DataError, match="Remote Sensing"):
        list(MmeRealWorldRsReader().read(tmp_path, "test"))
