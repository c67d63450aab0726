from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import DataError
from geoprose.data.readers.rsvqa import RsvqaReader
from tests.fixtures import layouts

if TYPE_CHECKING:
    from pathlib import Path


def test_only_active_questions_are_asked_and_answers_are_found_by_id(tmp_path: Path) -> None:
    samples = list(RsvqaReader(data_set="lr").read(layouts.rsvqa_lr(tmp_path), "test"))
    facts = [(sample.task, sample.messages[0].text, sample.meta["answers"]) for sample in samples]
    # The answers lie in the other order than the questions: reading them by place would swap "yes" and "13".
    assert facts == [
        ("presence", "<image>\nIs a road present?", ["yes"]),
        ("count", "<image>\nHow many roads are there?", ["13"]),
    ]
    assert samples[0].images == ("Images_LR/1.tif",)
    assert samples[0].meta["gsd_m"] == 10.0
    assert samples[0].meta["upperleft_map_xy"] == [5.0, 6.0]
    assert samples[1].meta["count"] == 13


def test_text_that_stands_in_the_full_list_alone_is_found(tmp_path: Path) -> None:
    root = layouts.rsvqa_lr(tmp_path)
    expected = [sample.messages for sample in RsvqaReader().read(root, "test")]
    for kind in ("questions", "answers"):
        path = root / f"LR_split_test_{kind}.json"
        full = json.loads(path.read_text())
        layouts.write_json_file(root / f"all_{kind}.json", full)
        bare = [{"id": entry["id"], "active": entry["active"]} for entry in full[kind]]
        layouts.write_json_file(path, {kind: bare})
    assert [sample.messages for sample in RsvqaReader().read(root, "test")] == expected


def test_the_misspelt_key_of_the_specification_is_read(tmp_path: Path) -> None:
    root = layouts.rsvqa_lr(tmp_path)
    for kind, drop, rename in (("questions", "answers_ids", {}), ("answers", "", {"question_id": "quesiton_id"})):
        path = root / f"LR_split_test_{kind}.json"
        rows = json.loads(path.read_text())[kind]
        changed = [{rename.get(key, key): value for key, value in row.items() if key != drop} for row in rows]
        layouts.write_json_file(path, {kind: changed})
    assert [sample.meta["answers"] for sample in RsvqaReader().read(root, "test")] == [["yes"], ["13"]]


def test_the_number_of_questions_is_said_where_publications_differ(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        list(RsvqaReader().read(layouts.rsvqa_lr(tmp_path), "test"))
    assert "2 questions; publications count 10,004" in caplog.text


def test_change_questions_show_both_dates(tmp_path: Path) -> None:
    (sample,) = RsvqaReader(data_set="cdvqa").read(layouts.cdvqa(tmp_path), "test")
    assert sample.images == ("im1/07308.png", "im2/07308.png")
    assert sample.messages[0].text == "<image>\n<image>\nDid water change?"
    assert (sample.task, sample.meta["answers"], sample.meta["gsd_m"]) == ("change_or_not", ["no"], 0.1524)


def test_an_answer_that_is_not_there_is_named(tmp_path: Path) -> None:
    root = layouts.rsvqa_lr(tmp_path)
    layouts.write_json_file(root / "LR_split_test_answers.json", {"answers": [{"id": 0, "active": False}]})
    with pytest.raises(DataError, match="no entry 2"):
        list(RsvqaReader().read(root, "test"))


def test_missing_files_say_where_they_are(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"zenodo\.org/records/6344367.*USGS_split_test_phili"):
        list(RsvqaReader(data_set="hr").read(tmp_path, "test_phili"))
