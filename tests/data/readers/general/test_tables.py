from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from geoprose.core.errors import DataError
from geoprose.data.readers.general import tables
from geoprose.data.readers.general.tables import read_parquet
from tests.fixtures.general import write_parquet

if TYPE_CHECKING:
    from pathlib import Path


def test_rows_of_all_shards_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    write_parquet(tmp_path / "data/test-00001-of-00002.parquet", [{"n": number} for number in range(20, 40)])
    write_parquet(tmp_path / "data/test-00000-of-00002.parquet", [{"n": number} for number in range(20)])
    write_parquet(tmp_path / "test-0.parquet", [{"n": -1}])
    rows = list(read_parquet(tmp_path, ["data/test-*.parquet", "test-*.parquet"], "layout"))
    assert [row["n"] for _, row in rows] == list(range(40))
    assert [rows[0][0], rows[39][0]] == [
        "data/test-00000-of-00002.parquet, row 0",
        "data/test-00001-of-00002.parquet, row 19",
    ]
    assert [row["n"] for _, row in read_parquet(tmp_path, ["none-*", "test-*.parquet"], "layout")] == [-1]


def test_no_file_names_the_patterns_and_the_layout(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a-\*\.parquet or b-\*\.parquet.*the layout"):
        list(read_parquet(tmp_path, ["a-*.parquet", "b-*.parquet"], "the layout"))


def test_groups_of_rows_that_are_too_large_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_parquet(tmp_path / "a.parquet", [{"n": 1}])
    monkeypatch.setattr(tables, "MAX_GROUP_BYTES", 1)
    with pytest.raises(DataError, match="above 1 bytes"):
        list(read_parquet(tmp_path, ["a.parquet"], "layout"))
