from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from geoprose.core.errors import DataError
from geoprose.data.readers.coco_detection import CocoDetectionReader
from tests.fixtures import layouts

if TYPE_CHECKING:
    from pathlib import Path


def test_boxes_are_corners_and_crowds_are_difficult(tmp_path: Path) -> None:
    samples = {str(s.meta["phrase"]): s for s in CocoDetectionReader().read(layouts.coco(tmp_path), "val")}
    assert samples["building"].meta["boxes"] == [[10, 20, 40, 60]]
    assert samples["passenger vehicle"].meta["difficult"] == [True]
    assert samples["building"].meta["size_px"] == [100, 80]


def test_pictures_without_objects_are_kept_for_counting(tmp_path: Path) -> None:
    samples = list(CocoDetectionReader(what="count", absent=2).read(layouts.coco(tmp_path), "val"))
    assert [(s.images[0], s.meta["count"]) for s in samples] == [
        ("images/tile_5.png", 1), ("images/tile_5.png", 1), ("images/tile_6.png", 0), ("images/tile_6.png", 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("bbox", [1, 2, 3], "no bbox of four numbers"),
        ("category_id", 99, "category 99"),
        ("image_id", 77, "1 pictures that it does not list"),
    ],
)
def test_broken_annotations_are_named(tmp_path: Path, key: str, value: Any, message: str) -> None:
    path = layouts.coco(tmp_path) / "annotations/instances_val.json"
    document = json.loads(path.read_text())
    document["annotations"][0][key] = value
    layouts.write_json_file(path, document)
    with pytest.raises(DataError, match=message):
        list(CocoDetectionReader().read(tmp_path, "val"))
