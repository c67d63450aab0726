from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import ConfigError, DataError
from geoprose.data.readers.vrsbench import EVALUATION_FILES, VrsbenchReader
from tests.fixtures import layouts

if TYPE_CHECKING:
    from pathlib import Path


def test_boxes_are_the_published_hundredths_or_the_corners(tmp_path: Path) -> None:
    root = layouts.vrsbench(tmp_path)
    (published,) = VrsbenchReader(what="referring").read(root, "val")
    assert published.meta["boxes"] == [[100, 50, 150, 100]]  # the file cuts 0.755 to 75 hundredths of 200 px
    (corners,) = VrsbenchReader(what="referring", reference="corners").read(root, "val")
    assert corners.meta["boxes"] == [[100, 50, 151, 100]]
    assert published.meta["is_unique"] is True
    assert published.meta["size_group"] == "medium"
    assert published.messages[0].text == "<image>\nThe ship on the left"


def test_types_are_folded_to_those_of_the_table(tmp_path: Path) -> None:
    samples = list(VrsbenchReader(what="qa").read(layouts.vrsbench(tmp_path), "test"))
    assert [(s.task, s.meta["category"]) for s in samples] == [
        ("scene", "rural or urban"),
        ("quantity", "object quantity"),
    ]


def test_captions_and_training_annotations(tmp_path: Path) -> None:
    root = layouts.vrsbench(tmp_path)
    (caption,) = VrsbenchReader(what="caption").read(root, "val")
    assert caption.messages[0].text == "<image>\nDescribe the image in detail"
    (trained,) = VrsbenchReader(what="referring", reference="corners").read(root, "train")
    assert trained.meta["phrase"] == "The big ship"
    assert trained.meta["is_unique"] is False
    assert trained.images == ("Images_train/P0001_0001.png",)
    assert [s.task for s in VrsbenchReader(what="qa").read(root, "train")] == ["category"]
    assert [s.meta["answers"] for s in VrsbenchReader(what="caption").read(root, "train")] == [["A port."]]


def test_unknown_types_and_unreadable_boxes_are_named(tmp_path: Path) -> None:
    root = layouts.vrsbench(tmp_path)
    row = {"image_id": "P0003_0002.png", "question": "?", "ground_truth": "{<1><2>}", "type": "object smell"}
    layouts.write_json_file(root / EVALUATION_FILES["qa"], [row])
    layouts.write_json_file(root / EVALUATION_FILES["referring"], [row])
    with pytest.raises(DataError, match="object smell"):
        list(VrsbenchReader(what="qa").read(root, "val"))
    with pytest.raises(DataError, match="not one box"):
        list(VrsbenchReader(what="referring").read(root, "val"))


def test_missing_files_and_wrong_options(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"huggingface\.co/datasets/xiang709/VRSBench"):
        list(VrsbenchReader().read(tmp_path, "val"))
    with pytest.raises(ConfigError, match="caption, referring, qa"):
        VrsbenchReader(what="vqa")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="published or corners"):
        VrsbenchReader(reference="rounded")  # type: ignore[arg-type]
