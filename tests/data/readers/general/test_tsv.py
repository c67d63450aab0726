from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any

import pytest

from geoprose.core.errors import ConfigError, DataError
from geoprose.data.readers.general.tsv import TsvReader
from tests.fixtures import general
from tests.fixtures.layouts import pictures

if TYPE_CHECKING:
    from pathlib import Path

    from geoprose.core.types import Sample


def _read(root: Path, rows: list[dict[str, Any]], **options: Any) -> list[Sample]:
    general.write_tsv(root / "x.tsv", rows)
    return list(TsvReader(files={"dev": "x.tsv"}, **options).read(root, "dev"))


def test_orders_of_one_question_share_a_group_and_references_are_followed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        samples = list(TsvReader().read(general.mmbench(tmp_path), "dev"))
    assert [(sample.id, sample.meta["group"]) for sample in samples] == [
        ("241", "241"), ("1000241", "241"), ("2000241", "241"), ("5", "5"), ("1000005", "5"),
    ]  # fmt: skip
    assert [sample.meta["answer_index"] for sample in samples] == [2, 1, 0, 1, 0]
    assert {sample.images for sample in samples} == {samples[0].images}  # row 241 names row 5, which comes later
    assert (tmp_path / samples[0].images[0]).read_bytes() == general.encoded(1)
    assert samples[3].messages[0].text == "<image>\nIt barks.\nWhat is it?"
    assert samples[0].meta["options"] == ["red", "blue", "green"]
    assert "1 rows of MMBench_DEV_EN.tsv have no picture" in caplog.text


def test_each_question_once(tmp_path: Path) -> None:
    samples = list(TsvReader(orders="first").read(general.mmbench(tmp_path), "dev"))
    assert [sample.id for sample in samples] == ["241", "5"]
    assert not any("group" in sample.meta for sample in samples)
    with pytest.raises(ConfigError, match="file or first"):
        TsvReader(orders="last")  # type: ignore[arg-type]


def test_large_numbers_without_a_question_below_are_questions_of_their_own(tmp_path: Path) -> None:
    row = {"question": "?", "A": "x", "B": "y", "answer": "A", "image": general.in_base64(1)}
    samples = _read(tmp_path, [{"index": 1_000_007, **row}, {"index": 2_000_008, **row}], orders="first")
    assert [sample.id for sample in samples] == ["1000007", "2000008"]
    assert not any("group" in sample.meta for sample in samples)


def test_a_reference_to_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="said to be in row '9'"):
        _read(tmp_path, [{"index": 1, "question": "?", "answer": "yes", "image": "9"}])


def test_several_pictures_and_paths(tmp_path: Path) -> None:
    images = str([general.in_base64(1), general.in_base64(2)])
    (two,) = _read(tmp_path, [{"index": 1, "question": "Same?", "answer": "yes", "image": images}])
    assert [(tmp_path / image).read_bytes() for image in two.images] == [general.encoded(1), general.encoded(2)]
    pictures(tmp_path, "a/1.jpg")
    (one,) = _read(tmp_path, [{"index": 1, "question": "Same?", "answer": "yes", "image_path": "a/1.jpg"}])
    assert one.images == ("a/1.jpg",)
    with pytest.raises(DataError, match=r"image_path '../../secret\.png' is not a path below"):
        _read(tmp_path, [{"index": 1, "question": "Same?", "answer": "yes", "image_path": "../../secret.png"}])


def test_yes_no_questions_of_one_picture_are_paired_as_mme_does(tmp_path: Path) -> None:
    row = {"index": 0, "question": "Is it?", "answer": "Yes", "category": "color", "image": general.in_base64(1)}
    rows = [row, {**row, "index": 1, "answer": "No"}, {**row, "index": 2, "image": general.in_base64(2)}]
    samples = _read(tmp_path, rows, kind="yes_no", is_paired=True)
    groups = [sample.meta["group"] for sample in samples]
    assert groups[0] == groups[1] != groups[2]
    assert samples[1].meta["answers"] == ["no"]


def test_popes_negatives_and_open_answers(tmp_path: Path) -> None:
    row = {"index": 0, "question": "Is it?", "answer": "yes", "category": "popular", "image": general.in_base64(1)}
    (asked,) = _read(tmp_path, [row], kind="yes_no")
    assert (asked.meta["negatives"], asked.meta["category"]) == ("popular", "popular")
    assert "group" not in asked.meta
    (read,) = _read(tmp_path, [{**row, "answer": "['CENTRE', 'Center']"}], kind="ocr")
    assert (read.task, read.meta["answers"]) == ("ocr", ["CENTRE", "Center"])


@pytest.mark.parametrize(("column", "message"), [("index", "no index"), ("question", "no question"),
                                                 ("answer", "use the dev file")])  # fmt: skip
def test_empty_cells_are_named(column: str, message: str, tmp_path: Path) -> None:
    row = {"index": 3, "question": "Is it?", "answer": "yes", "image": general.in_base64(1)}
    with pytest.raises(DataError, match=rf"x\.tsv, row 2.*{message}"):
        _read(tmp_path, [{**row, column: ""}])


@pytest.mark.parametrize("other", ["", "5", "nan", "[", "['a']", "x" * 80])
def test_no_cell_makes_the_reader_crash(other: str, tmp_path: Path) -> None:
    row = {"index": "3", "question": "Is it?", "answer": "B", "A": "yes", "B": "no", "hint": "", "category": "c",
           "image": general.in_base64(1), "image_path": "a.png"}  # fmt: skip
    for kind in ("yes_no", "open"):
        for column in row:
            with contextlib.suppress(DataError):  # anything else is a crash
                _read(tmp_path, [{**row, column: other}], kind=kind)


def test_files_must_be_names_below_the_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a path below"):
        list(TsvReader(files={"dev": "../x.tsv"}).read(tmp_path, "dev"))
    with pytest.raises(ConfigError, match="file name for each split"):
        TsvReader(files={"dev": ""})
