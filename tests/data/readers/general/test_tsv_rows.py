from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoprose.core.errors import DataError
from geoprose.data.readers.general import tsv_rows
from geoprose.data.readers.general.tsv_rows import read_tsv, split_rows
from tests.fixtures.general import write_tsv

if TYPE_CHECKING:
    from pathlib import Path

CELLS = st.text(st.sampled_from('ab"\t\n ,\u00e9'), max_size=6)


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=5), st.sampled_from(["\n", "\r\n"]))
def test_what_the_csv_module_writes_is_read_back(rows: list[list[str]], line_end: str) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, delimiter="\t", lineterminator=line_end).writerows(rows)
    assert list(split_rows(io.StringIO(buffer.getvalue(), newline="\n"), "a.tsv")) == rows


def test_quotes_inside_a_cell_without_quotes_stay() -> None:
    text = 'a 5" pipe\tb\n"c ""d"""\t"e\tf\ng"\n'
    assert list(split_rows(io.StringIO(text), "a.tsv")) == [['a 5" pipe', "b"], ['c "d"', "e\tf\ng"]]


def test_places_and_cells(tmp_path: Path) -> None:
    rows = [{"index": "1", "question": 'a "b"\tc\nd'}, {"index": "2", "question": "\u00e9" * 300_000}]
    write_tsv(tmp_path / "a.tsv", rows)
    (tmp_path / "a.tsv").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "a.tsv").read_bytes() + b"\n")
    found = list(read_tsv(tmp_path, "a.tsv", "layout"))  # with a byte-order mark and an empty line
    assert [row for _, row in found] == rows
    assert [where for where, _ in found] == ["a.tsv, row 2", "a.tsv, row 3"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"index\tquestion\n1\ta\tb\n", "row 2 has 3 cells, the head 2"),
        (b"index\tquestion\n1\n", "row 2 has 1 cells"),
        (b"index\tquestion\n1\t\xff\n", "not UTF-8"),
        (b'index\tquestion\n1\t"a\n2\tb\n', "inside a quoted cell"),
    ],
)
def test_broken_files_are_named(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_bytes(content)
    with pytest.raises(DataError, match=rf"a\.tsv.*{message}"):
        list(read_tsv(tmp_path, "a.tsv", "layout"))


def test_endless_rows_are_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tsv_rows, "MAX_ROW_CHARS", 100)
    for content in ("index\n" + "x" * 200, 'index\n"' + "x\n" * 100):
        (tmp_path / "a.tsv").write_text(content)
        with pytest.raises(DataError, match="above 100 characters"):
            list(read_tsv(tmp_path, "a.tsv", "layout"))


def test_a_missing_file_names_the_layout(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.tsv.*the layout"):
        list(read_tsv(tmp_path, "a.tsv", "the layout"))
