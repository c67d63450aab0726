from __future__ import annotations

import contextlib
import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest
from pyarrow.parquet import read_table

from geoprose.core.errors import ConfigError, DataError, ResourceError
from geoprose.data.readers.general.hub import HUB_SETS, HubReader
from tests.data.readers.general.miniatures import CASES
from tests.fixtures import general

if TYPE_CHECKING:
    from pathlib import Path


def _read(data_set: str, root: Path, split: str = "test") -> list[Any]:
    return list(HubReader(data_set=data_set).read(root, split))


def test_mmmu_shows_the_pictures_that_a_question_names_and_counts_them_from_one(tmp_path: Path) -> None:
    choice, asked = _read("mmmu", general.mmmu(tmp_path), "validation")
    assert choice.messages[0].text == "<image>\n<image>\nCompare <image 2> with <image 1>."
    assert choice.meta["options"] == ["$6", "it's <image 2>"]
    shown = [(tmp_path / image).read_bytes() for image in choice.images]
    assert shown == [general.encoded(1), general.encoded(3)]  # the first and the third of the row, not the second
    assert (choice.task, choice.meta["category"], choice.meta["answer_index"]) == ("choice", "Accounting", 1)
    assert (asked.task, asked.meta["category"], asked.meta["answers"]) == ("open", "Art_Theory", ["$1,000", "1000"])
    assert (tmp_path / asked.images[0]).read_bytes() == general.encoded(4)


def test_hidden_answers_are_refused_by_name(tmp_path: Path) -> None:
    general.mmmu(tmp_path)
    row = {"id": "test_Math_1", "question": "?", "options": "['1', '2']", "question_type": "multiple-choice"}
    general.write_parquet(tmp_path / "Math/test-00000-of-00001.parquet", [{**row, "answer": "?", "image_1": None}])
    with pytest.raises(DataError, match="lacks the bytes"):
        _read("mmmu", tmp_path, "test")
    hidden = {**row, "answer": "?", "image_1": general.cell(1)}
    general.write_parquet(tmp_path / "Math/test-00000-of-00001.parquet", [hidden])
    with pytest.raises(DataError, match="hides those of its test split"):
        _read("mmmu", tmp_path, "test")


def test_realworldqa_takes_the_instruction_and_the_letters_off(tmp_path: Path) -> None:
    choice, number, word = _read("realworldqa", general.realworldqa(tmp_path))
    assert choice.messages[0].text == "<image>\nWhere is it?"
    assert choice.meta["options"] == ["Left", "Right", "Ahead"]
    assert [one.task for one in (choice, number, word)] == ["choice", "number", "word"]
    assert number.messages[0].text == "<image>\nHow many cars?"
    assert number.images == word.images  # equal pictures are one file
    assert choice.images[0].endswith(".webp")


def test_rows_that_are_not_asked_about_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert len(_read("science-qa", general.science_qa_hub(tmp_path))) == 1
    assert "1 rows of ScienceQA are without a picture" in caplog.text


def test_shards_are_read_in_order_and_mini_splits_are_apart(tmp_path: Path) -> None:
    assert [sample.id for sample in _read("realworldqa", general.realworldqa(tmp_path))] == ["0", "1", "2"]
    general.mathvista_hub(tmp_path / "m")
    with pytest.raises(DataError, match="lacks"):  # testmini-*.parquet is no file of the split test
        _read("mathvista", tmp_path / "m", "test")


def test_without_pyarrow_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    general.mme_hub(tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ResourceError, match="pip install pyarrow"):
        _read("mme", tmp_path)


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path) -> None:
    path = tmp_path / "data/test-0.parquet"
    path.parent.mkdir()
    path.write_bytes(b"PAR1 or not")
    with pytest.raises(DataError, match=r"data/test-0\.parquet cannot be read as parquet"):
        _read("mme", tmp_path)
    general.write_parquet(path, [{"question_id": "a", "question": 5}])
    with pytest.raises(DataError, match="row 0"):
        _read("mme", tmp_path)


FEW: tuple[Any, ...] = (None, 5)
MANY: tuple[Any, ...] = ("", [], {"bytes": b"x"}, True, [{"bytes": b"x"}])


@pytest.mark.parametrize("others", [FEW, pytest.param(MANY, marks=pytest.mark.slow)], ids=["few", "many"])
@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[0] == "hub" or name.endswith(" hub")])
def test_no_column_makes_the_reader_crash(name: str, others: tuple[Any, ...], tmp_path: Path) -> None:
    _, make, split, options, _ = CASES[name]
    files = sorted(make(tmp_path).rglob("*.parquet"))
    for path in files:
        before = path.read_bytes()
        rows = read_table(path).to_pylist()
        for column in rows[0]:
            for other in others:
                general.write_parquet(path, [{**row, column: other} for row in rows])
                with contextlib.suppress(DataError):  # anything else is a crash
                    list(HubReader(**options).read(tmp_path, split))
        path.write_bytes(before)


def test_unknown_benchmarks_are_refused_and_known_ones_tested() -> None:
    with pytest.raises(ConfigError, match="mmmu"):
        HubReader(data_set="mmmmu")
    assert set(HUB_SETS) <= {case[3].get("data_set") for case in CASES.values()}
