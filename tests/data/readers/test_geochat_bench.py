from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import DataError
from geoprose.data.readers.geochat_bench import FILES, GeochatBenchReader
from tests.fixtures import layouts

if TYPE_CHECKING:
    from pathlib import Path


def test_the_class_of_a_scene_is_the_folder_in_the_id(tmp_path: Path) -> None:
    samples = list(GeochatBenchReader(what="aid").read(layouts.geochat_bench(tmp_path), "test"))
    assert samples[1].meta["answers"] == ["bare land", "BareLand"]
    assert samples[1].meta["options"] == ["airport", "bare land"]
    assert samples[1].images == ("AID/BareLand/b.jpg",)


def test_answers_come_from_rsvqa_by_id_or_by_text(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        samples = list(GeochatBenchReader(what="lrben").read(layouts.geochat_bench(tmp_path), "test"))
    assert [(s.id, s.task, s.meta["answers"]) for s in samples] == [("1", "presence", ["yes"]), ("77", "count", ["13"])]
    assert samples[0].messages[0].text == "<image>\nIs a road present?"  # the task's prompt adds the suffix again
    assert "1 of 3 questions are not in RSVQA's files" in caplog.text


def test_an_id_whose_text_differs_is_not_trusted(tmp_path: Path) -> None:
    root = layouts.geochat_bench(tmp_path)
    row = {"question_id": "1", "image": "1.tif", "text": "How many roads are there?"}
    layouts.write_lines(root / "lrben.jsonl", [row])
    (sample,) = GeochatBenchReader(what="lrben").read(root, "test")
    assert sample.meta["answers"] == ["13"]


def test_polygons_are_boxes_in_pixels(tmp_path: Path) -> None:
    samples = list(GeochatBenchReader(what="referring").read(layouts.geochat_bench(tmp_path), "test"))
    assert [s.task for s in samples] == ["refer", "refer_multiple", "describe"]
    assert samples[0].meta["boxes"] == [[584, 337, 619, 313, 601, 282, 565, 304]]
    assert samples[0].meta["phrase"] == "1 ship at the left"
    assert samples[0].meta["size_px"] == [800, 800]
    assert samples[0].meta["size_group"] == "small"
    assert len({s.id for s in samples}) == 3  # the file repeats question_id


def test_the_region_is_read_from_the_question(tmp_path: Path) -> None:
    (sample,) = GeochatBenchReader(what="region_captioning").read(layouts.geochat_bench(tmp_path), "test")
    region = sample.meta["region"]
    assert isinstance(region, list)
    assert sorted(set(map(float, region))) == [80.0, 160.0, 240.0, 320.0]  # 10, 20, 30 and 40 hundredths of 800 px
    assert sample.meta["answers"] == ["1 white ship"]


def test_broken_polygons_are_named(tmp_path: Path) -> None:
    root = layouts.geochat_bench(tmp_path)
    row = {"question_id": "7", "image_id": "P0003_0002", "question": "x", "ground_truth": [[[1, 2], [3, 4]]]}
    layouts.write_lines(root / "referring.jsonl", [row])
    with pytest.raises(DataError, match="four corners"):
        list(GeochatBenchReader(what="referring").read(root, "test"))


@pytest.mark.parametrize("what", FILES)
def test_each_file_says_what_to_download(what: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="MBZUAI/GeoChat-Bench"):
        list(GeochatBenchReader(what=what).read(tmp_path, "test"))  # type: ignore[arg-type]
