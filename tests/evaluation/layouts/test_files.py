"""Containers of records: encodings, cut-off files, tables, workbooks, long lists."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoprose.core.errors import ResourceError, TaskError
from geoprose.evaluation.layouts import json_list
from geoprose.evaluation.layouts.files import FileNotes, read_records
from geoprose.evaluation.layouts.open import open_predictions

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [{"id": "1", "prediction": "a", "reference": "a"}, {"id": "2", "prediction": "b\u2028c", "reference": "b"}]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)


def read(path: Path) -> tuple[list[dict[str, str]], FileNotes]:
    notes = FileNotes()
    return [dict(record) for _, record in read_records(path, notes)], notes


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.jsonl", LINES.encode()),
        ("x.jsonl", LINES.encode("utf-8-sig")),
        ("x.jsonl", LINES.replace("\n", "\r\n").encode()),
        ("x.jsonl", (LINES + "\n\n").encode()),
        ("x.jsonl", LINES.removesuffix("\n").encode()),
        ("x.json", json.dumps(ROWS).encode("utf-8-sig")),
        ("x.json", json.dumps(ROWS, indent=2).replace("\n", "\r\n").encode()),
        ("x.csv", "id,prediction,reference\n1,a,a\n2,b\u2028c,b\n".encode("utf-8-sig")),
        ("x.tsv", "id\tprediction\treference\r\n1\ta\ta\r\n2\tb\u2028c\tb\r\n".encode()),
    ],
)
def test_the_same_records_from_every_container(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    records, notes = read(path)
    assert records == ROWS
    assert notes.has_bom == content.startswith(b"\xef\xbb\xbf")
    assert notes.has_crlf == (b"\r\n" in content)
    assert notes.truncated_line == 0


def test_a_cell_may_hold_a_line_end(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('id,prediction,reference\n1,"a\nb",c\n')
    assert read(path)[0] == [{"id": "1", "prediction": "a\nb", "reference": "c"}]


@pytest.mark.parametrize("name", ["x.jsonl", "x.json"])
def test_a_file_that_breaks_off_loses_its_last_record_and_says_so(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    whole = LINES if name == "x.jsonl" else json.dumps(ROWS)
    path.write_text(whole[: len(whole) - 8])
    records, notes = read(path)
    assert records == ROWS[:1]
    assert notes.truncated_line == 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.jsonl", b"", "is empty"),
        ("x.jsonl", b"\xef\xbb\xbf \n", "is empty"),
        ("x.json", b"[]", "is empty"),
        ("x.jsonl", LINES.encode("utf-16"), "UTF-16"),
        ("x.jsonl", b'{"id": "1", "prediction": "a"}\n{"id": "\xe9"}\n', "line 2 is not UTF-8"),
        ("x.csv", "id,prediction\n1,\xe9\n".encode("latin-1"), "not UTF-8"),
        ("x.jsonl", b'{"id": "1", "prediction": "a"}\n{"id": \n{"id": "3"}\n', "line 2 is not valid JSON"),
        ("x.jsonl", b'{"id": "1", "prediction": "a"}\n[1]\n', "line 2 is list"),
        ("x.json", b'[{"id": "1", "prediction": "a"}, {"id": 2 "x"}]', "record 2 is not valid JSON"),
        ("x.csv", b"id,prediction\n1,a,b\n", "row 2 has another number of cells"),
        ("x.csv", b"id,prediction\n1\n", "row 2 has another number of cells"),
        ("x.json", b'{"acc": 1,\n "x": 2}', "totals and no answers"),
    ],
)
def test_what_cannot_be_read_is_named(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(TaskError, match=message):
        list(open_predictions(path, "plain").rows())


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="does not exist"):
        open_predictions(tmp_path / "none.jsonl")


def test_a_workbook_is_read(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["index", "question", "prediction", "answer", "A", "B"])
    book.active.append([3, "What?", "B", "B", "ship", "plane"])
    book.save(tmp_path / "x.xlsx")
    row = next(open_predictions(tmp_path / "x.xlsx").rows())
    assert (row.id, row.prediction, row.references) == ("3", "B", ("B", "plane"))


def test_a_workbook_without_its_reader_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    (tmp_path / "x.xlsx").write_bytes(b"PK\x03\x04 and so on")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ResourceError, match="pip install openpyxl"):
        open_predictions(tmp_path / "x.xlsx")


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(
        st.dictionaries(st.text(max_size=4), st.one_of(st.text(max_size=9), st.floats(allow_nan=False), st.booleans())),
        max_size=8,
    ),
    block=st.integers(1, 40),
)
def test_a_list_is_read_whole_whatever_the_blocks(
    values: list[dict[str, object]], block: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("list") / "x.json"
    path.write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")
    before = json_list.BLOCK_BYTES
    json_list.BLOCK_BYTES = block
    try:
        assert list(json_list.iter_json_list(path, FileNotes())) == values
    finally:
        json_list.BLOCK_BYTES = before
